//! The batches that the benches make.

use sluice::{
    domain::{
        access::Caller,
        connection::ConnectionDraft,
        draft::{BatchDraft, DEFAULT_MAX_ATTEMPTS, JobDraft},
        id::ConnectionId,
        job::{JobType, RequiredObjects},
    },
    services::Services,
};

/// How many jobs a batch has where there are many batches.
pub const JOBS: usize = 20;
/// How many jobs each load of such a batch waits for: 30 dependencies.
pub const REQUIREMENTS_OF_A_LOAD: usize = 3;
/// How many of them are made in one transaction.
const AT_ONCE: usize = 100;

/// Makes so many batches, and gives the id of the newest.
pub async fn make(services: &Services, connections: &[ConnectionId], batches: usize) -> String {
    let mut newest = String::new();
    for first in (0..batches).step_by(AT_ONCE) {
        let numbers = first..batches.min(first + AT_ONCE);
        let drafts = numbers.map(|number| draft(number, JOBS, REQUIREMENTS_OF_A_LOAD, connections)).collect();
        let made = services.create_batches(&Caller::ANYBODY, drafts).await.unwrap();
        newest = made.last().unwrap().batch.id.to_string();
    }
    newest
}

/// Makes ten connections; five lead to sources and five to destinations.
pub async fn connections(services: &Services) -> Vec<ConnectionId> {
    let mut ids = Vec::new();
    for number in 0..10 {
        let provider = if number < 5 { "salesforce" } else { "snowflake" };
        let draft = ConnectionDraft {
            name: format!("Connection {number}"),
            provider: provider.into(),
            ..ConnectionDraft::default()
        };
        ids.push(services.create_connection(&Caller::ANYBODY, draft).await.unwrap().id);
    }
    ids
}

/// The batch with this number: half of its jobs extract an object each, the other half load it. Each
/// load waits for `requirements` jobs: for extracts, and nine of ten for the load before it. One in
/// five extracts names its grain, and one in twenty jobs a connection of its own.
pub fn draft(number: usize, jobs: usize, requirements: usize, connections: &[ConnectionId]) -> BatchDraft {
    let (sources, destinations) = connections.split_at(connections.len() / 2);
    let pick = |among: &[ConnectionId], index: usize| among[index % among.len()].to_string();
    let loads = jobs / 2;
    let object = |index: usize| format!("Object{:04}", index % loads);
    let extracts = (0..loads).map(|index| JobDraft {
        grain: (index % 5 == 1).then(|| "daily".into()),
        connection_id: (index % 10 == 3).then(|| pick(sources, number + 1)),
        ..job(JobType::Extract, object(index))
    });
    let loads = (0..loads).map(|index| {
        let load: Vec<String> = (index % 10 > 0).then(|| object(index - 1)).into_iter().collect();
        let extract = (0..requirements - load.len()).map(|offset| object(index + offset)).collect();
        let required_objects = RequiredObjects { extract, load, load_result: Vec::new() };
        JobDraft { required_objects, ..job(JobType::Load, object(index)) }
    });
    BatchDraft {
        source_connection_id: pick(sources, number),
        destination_connection_id: pick(destinations, number),
        since: Some("2010-01-01".into()),
        priority: (number % 7) as i32,
        jobs: extracts.chain(loads).collect(),
        ..BatchDraft::default()
    }
}

fn job(job_type: JobType, object: String) -> JobDraft {
    JobDraft {
        job_type,
        object,
        grain: None,
        connection_id: None,
        since: None,
        updated_since: None,
        allow_delete: false,
        max_attempts: DEFAULT_MAX_ATTEMPTS,
        required_objects: RequiredObjects { extract: Vec::new(), load: Vec::new(), load_result: Vec::new() },
    }
}
