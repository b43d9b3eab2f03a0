//! A simulated worker. It claims jobs, says how far it is, and reports how they ended.

use std::time::Duration;

use serde_json::json;

use super::dice::{happens, up_to};
use crate::{
    domain::{
        access::Caller,
        attempt::Progress,
        claim::ClaimDraft,
        id::TenantId,
        job::JobType,
        settle::{Report, TryAgain},
        text::{Message, Text},
    },
    services::{Beat, Error, Heard, Services, Started},
};

/// How often it says how far it is.
const STEP: Duration = Duration::from_millis(400);
/// How long its leases last, in seconds.
const LEASE: i32 = 10;
/// How long it waits for work, in seconds.
const WAIT: i32 = 20;
/// Records of one step.
const RECORDS: i64 = 1250;
/// Bytes of a record.
const BYTES: i64 = 312;

/// What becomes of an attempt.
#[derive(Clone, Copy)]
enum Fate {
    Succeeds,
    FailsForNow,
    FailsForGood,
    IsLost,
}

impl Fate {
    fn draw() -> Self {
        match up_to(100) {
            0..84 => Self::Succeeds,
            84..94 => Self::FailsForNow,
            94..97 => Self::FailsForGood,
            97.. => Self::IsLost,
        }
    }
}

/// Claims one job, and runs it.
pub async fn work(services: &Services, tenant: TenantId, number: usize) -> Result<(), Error> {
    let draft = ClaimDraft {
        worker: format!("demo worker {number}"),
        types: None,
        providers: None,
        tenant_id: Some(tenant.to_string()),
        limit: 1,
        lease_seconds: LEASE,
        wait_seconds: WAIT,
    };
    for started in services.claim_jobs(&Caller::ANYBODY, draft).await? {
        run(services, &started).await?;
    }
    Ok(())
}

async fn run(services: &Services, started: &Started) -> Result<(), Error> {
    let fate = Fate::draw();
    let steps = 2 + i64::from(up_to(8));
    let stops_at = match fate {
        Fate::Succeeds => steps,
        Fate::FailsForNow | Fate::FailsForGood | Fate::IsLost => steps / 2,
    };
    for step in 1..=stops_at {
        tokio::time::sleep(STEP).await;
        match beat(services, started, step, steps).await? {
            Heard::GoesOn(_) => {}
            Heard::Canceled(_) => return report(services, started, Report::Released).await,
            Heard::Lost => return Ok(()),
        }
        if step * 2 >= steps && started.job.job_type == JobType::Load && happens(50) {
            let output = Some(json!({ "written": step * RECORDS }));
            report(services, started, Report::Published { output }).await?;
        }
    }
    let failed = |code: &str, message: &str, again| Report::Failed {
        code: Text::stored(code.into()),
        message: Message::of(message.into()),
        again,
    };
    let (records, bytes) = (Some(steps * RECORDS), Some(steps * RECORDS * BYTES));
    match fate {
        Fate::Succeeds => {
            let output = Some(json!({ "object": &*started.job.object, "records": records }));
            report(services, started, Report::Completed { output, records, bytes }).await
        }
        Fate::FailsForNow => {
            report(
                services,
                started,
                failed("RATE_LIMITED", "the system asks to come back later", TryAgain::Yes),
            )
            .await
        }
        Fate::FailsForGood => {
            report(
                services,
                started,
                failed("NO_SUCH_OBJECT", "the system does not know this object", TryAgain::No),
            )
            .await
        }
        // Nothing is heard of it any more.
        Fate::IsLost => Ok(()),
    }
}

async fn beat(services: &Services, started: &Started, step: i64, steps: i64) -> Result<Heard, Error> {
    let progress = Progress {
        records: Some(step * RECORDS),
        bytes: Some(step * RECORDS * BYTES),
        total: Some(steps * RECORDS),
        message: Some(Message::of(format!("{} {} of {steps}", started.job.job_type.name(), step))),
        at: services.clock().now(),
    };
    let beat = Beat { lease: started.lease.clone(), progress: Some(progress) };
    Ok(services.heartbeat(&Caller::ANYBODY, vec![beat]).await?.pop().unwrap_or(Heard::Lost))
}

/// A report that is refused is no fault here: the lease was lost.
async fn report(services: &Services, started: &Started, report: Report) -> Result<(), Error> {
    let _ = services.report(&Caller::ANYBODY, &started.lease, report).await?;
    Ok(())
}
