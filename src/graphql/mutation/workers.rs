//! The worker protocol: claim jobs, say that they still run, report how they ended.

use async_graphql::{Context, InputObject, Json, Object, Result, SimpleObject};
use serde_json::Value;

use super::payload;
use crate::{
    domain::{
        attempt::{ProgressDraft, count},
        claim::{ClaimDraft, MAX_CLAIM, MAX_WAIT},
        job,
        lease::{LeaseDuration, LeaseToken},
        problem::{At, Problem, ProblemCode, Segment, keep},
        settle::{Refused, Report, TryAgain},
        text::{Message, Text},
    },
    graphql::{
        context::ContextExt,
        error::{self, UserError},
        scalar::BigCount,
        types::{
            claim::{ClaimNode, LeaseStatus},
            job::{JobNode, JobType},
        },
    },
    services::{self, Answer, Beat, Services, Started},
};

/// The most leases or results that one request can name.
const MAX_LEASES: usize = 1000;

/// Which jobs a worker asks for.
#[derive(InputObject)]
struct ClaimJobsInput {
    /// What you call yourself: shown in attempts and events; at most 255 characters.
    worker: String,
    /// Which types you can run; left out: any.
    types: Option<Vec<JobType>>,
    /// Which providers you can serve, at most 100; left out: any.
    providers: Option<Vec<String>>,
    /// Only jobs of this tenant; left out: of any.
    tenant_id: Option<async_graphql::ID>,
    /// How many jobs at the most, from 1 to 100.
    #[graphql(default = 1)]
    limit: i32,
    /// How long the leases shall last without a heartbeat, from 1 to 86400 seconds.
    #[graphql(default_with = "LeaseDuration::DEFAULT")]
    lease_seconds: i32,
    /// How long to wait when there is no work, from 0 to 30 seconds. You are answered as soon as there is
    /// some.
    #[graphql(default)]
    wait_seconds: i32,
}

/// That a worker is still there.
#[derive(InputObject)]
struct HeartbeatInput {
    /// The leases that you hold, at most 1000.
    leases: Vec<LeaseHeartbeatInput>,
}

/// That an attempt is still under way.
#[derive(InputObject)]
struct LeaseHeartbeatInput {
    /// Its lease.
    lease: String,
    /// How far it is; left out: nothing new.
    progress: Option<JobProgressInput>,
}

/// How far an attempt is. What is left out is not known.
#[derive(InputObject)]
struct JobProgressInput {
    /// Records so far.
    records: Option<BigCount>,
    /// Bytes so far.
    bytes: Option<BigCount>,
    /// How many records there will be.
    total: Option<BigCount>,
    /// What you are doing; cut after 8192 bytes.
    message: Option<String>,
}

/// That a load has written its records, and goes on.
#[derive(InputObject)]
struct PublishLoadInput {
    /// The lease of the attempt.
    lease: String,
    /// What the job puts out so far, at most 256 KiB of JSON.
    output: Option<Json<Value>>,
}

/// That a job has done what it should.
#[derive(InputObject)]
struct CompleteJobInput {
    /// The lease of the attempt.
    lease: String,
    /// What the job puts out for those that require it, at most 256 KiB of JSON; left out: what it has put
    /// out already.
    output: Option<Json<Value>>,
    /// How many records there were.
    records: Option<BigCount>,
    /// How many bytes there were.
    bytes: Option<BigCount>,
}

/// That an attempt failed.
#[derive(InputObject)]
struct FailJobInput {
    /// The lease of the attempt.
    lease: String,
    /// What kind of failure it was, in your own words: for programs; at most 100 characters.
    code: String,
    /// What happened: for people; cut after 8192 bytes.
    message: String,
    /// Whether another attempt may help; false: the job fails for good.
    #[graphql(default = true)]
    retryable: bool,
}

/// That a worker gives a job back unharmed.
#[derive(InputObject)]
struct ReleaseJobInput {
    /// The lease of the attempt.
    lease: String,
}

/// How several attempts ended.
#[derive(InputObject)]
struct FinishJobsInput {
    /// The results, at most 1000. Each is taken on its own.
    results: Vec<JobResultInput>,
}

/// How an attempt ended: by success, unless there is an error.
#[derive(InputObject)]
struct JobResultInput {
    /// The lease of the attempt.
    lease: String,
    /// What the job puts out for those that require it, at most 256 KiB of JSON.
    output: Option<Json<Value>>,
    /// How many records there were.
    records: Option<BigCount>,
    /// How many bytes there were.
    bytes: Option<BigCount>,
    /// What went wrong; left out: nothing, the job has done what it should.
    error: Option<JobErrorInput>,
}

/// What went wrong with an attempt.
#[derive(InputObject)]
struct JobErrorInput {
    /// What kind of failure it was, in your own words: for programs; at most 100 characters.
    code: String,
    /// What happened: for people; cut after 8192 bytes.
    message: String,
    /// Whether another attempt may help; false: the job fails for good.
    #[graphql(default = true)]
    retryable: bool,
}

payload!(PublishLoadPayload, job: JobNode, "The job as it is now");
payload!(CompleteJobPayload, job: JobNode, "The job as it is now");
payload!(FailJobPayload, job: JobNode, "The job as it is now");
payload!(ReleaseJobPayload, job: JobNode, "The job as it is now");

/// The jobs that were claimed, or everything that was wrong.
#[derive(SimpleObject)]
struct ClaimJobsPayload {
    /// The jobs that are yours to run; none when there is no work.
    claims: Vec<ClaimNode>,
    /// Everything that was wrong; empty when it was done.
    user_errors: Vec<UserError>,
}

/// What has become of the leases, or everything that was wrong.
#[derive(SimpleObject)]
struct HeartbeatPayload {
    /// What has become of each lease, in the order given.
    leases: Vec<LeaseStatus>,
    /// Everything that was wrong; empty when it was done.
    user_errors: Vec<UserError>,
}

/// What has become of the results, or everything that was wrong.
#[derive(SimpleObject)]
struct FinishJobsPayload {
    /// What has become of each result, in the order given; empty when the request was refused.
    results: Vec<JobResult>,
    /// What was wrong with the request as a whole; empty when each result was looked at.
    user_errors: Vec<UserError>,
}

/// What has become of one result.
#[derive(SimpleObject)]
struct JobResult {
    /// The job as it is now; null when the result was refused, and nothing was changed by it.
    job: Option<JobNode>,
    /// Everything that was wrong with this result; empty when it was taken.
    user_errors: Vec<UserError>,
}

/// The mutations of workers.
#[derive(Default)]
pub struct WorkerMutation;

#[Object]
impl WorkerMutation {
    /// Starts attempts at jobs that are ready and gives you their leases: those of the highest priority
    /// first, fairly between tenants, within the limits of connections and tenants.
    async fn claim_jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who asks, and for what.")] input: ClaimJobsInput,
    ) -> Result<ClaimJobsPayload> {
        let claimed = ctx.services().claim_jobs(ctx.caller(), input.into()).await;
        let (claims, user_errors) = error::payload(claimed)?;
        let node = |claims: Vec<Started>| claims.into_iter().map(ClaimNode).collect();
        Ok(ClaimJobsPayload { claims: claims.map(node).unwrap_or_default(), user_errors })
    }

    /// Extends leases, reports progress, and tells of each whether you shall stop.
    async fn heartbeat(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The leases that you hold.")] input: HeartbeatInput,
    ) -> Result<HeartbeatPayload> {
        let heard = async {
            let beats = beats(ctx.services(), input)?;
            let leases: Vec<LeaseToken> = beats.iter().map(|beat| beat.lease.clone()).collect();
            let heard = ctx.services().heartbeat(ctx.caller(), beats).await?;
            Ok(leases.iter().zip(heard).map(|(lease, heard)| LeaseStatus::new(lease, heard)).collect())
        };
        let (leases, user_errors): (Option<Vec<LeaseStatus>>, _) = error::payload(heard.await)?;
        Ok(HeartbeatPayload { leases: leases.unwrap_or_default(), user_errors })
    }

    /// Reports that a load has written its records: jobs that wait for no more may start, while it goes
    /// on.
    async fn publish_load(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which attempt, and what it puts out.")] input: PublishLoadInput,
    ) -> Result<PublishLoadPayload> {
        let PublishLoadInput { lease, output } = input;
        let reported = async {
            let output = checked(output, &At::Root)?;
            report(ctx, lease, Report::Published { output }).await
        };
        PublishLoadPayload::new(reported.await, JobNode::alone)
    }

    /// Reports that a job has done what it should. To repeat it under the same lease is harmless.
    async fn complete_job(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which attempt, and what came of it.")] input: CompleteJobInput,
    ) -> Result<CompleteJobPayload> {
        let CompleteJobInput { lease, output, records, bytes } = input;
        let result = JobResultInput { lease, output, records, bytes, error: None };
        let reported = async {
            let (lease, report) = result.into_report(&At::Root)?;
            self::report(ctx, lease, report).await
        };
        CompleteJobPayload::new(reported.await, JobNode::alone)
    }

    /// Reports that an attempt failed. The job is tried again after a while, unless that can't help or
    /// its attempts are used up. To repeat it under the same lease is harmless.
    async fn fail_job(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which attempt, and what went wrong.")] input: FailJobInput,
    ) -> Result<FailJobPayload> {
        let FailJobInput { lease, code, message, retryable } = input;
        let error = Some(JobErrorInput { code, message, retryable });
        let result = JobResultInput { lease, output: None, records: None, bytes: None, error };
        let reported = async {
            let (lease, report) = result.into_report(&At::Root)?;
            self::report(ctx, lease, report).await
        };
        FailJobPayload::new(reported.await, JobNode::alone)
    }

    /// Gives a job back unharmed, when you shut down for instance. It may be claimed again at once, and the
    /// attempt does not count. To repeat it under the same lease is harmless.
    async fn release_job(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which attempt.")] input: ReleaseJobInput,
    ) -> Result<ReleaseJobPayload> {
        let released = report(ctx, input.lease, Report::Released).await;
        ReleaseJobPayload::new(released, JobNode::alone)
    }

    /// Reports how several attempts ended, each as `completeJob` or `failJob` would, and each answered on
    /// its own.
    async fn finish_jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The results.")] input: FinishJobsInput,
    ) -> Result<FinishJobsPayload> {
        let (results, user_errors) = error::payload(finish(ctx, input.results).await)?;
        Ok(FinishJobsPayload { results: results.unwrap_or_default(), user_errors })
    }
}

/// The domain's problems with a result, or the job as it is after it.
type Finished = std::result::Result<JobNode, Vec<Problem>>;

async fn finish(
    ctx: &Context<'_>,
    results: Vec<JobResultInput>,
) -> std::result::Result<Vec<JobResult>, services::Error> {
    let at = At::Root.field("results");
    bounded(results.len(), &at)?;
    let mut finished: Vec<Option<Finished>> = Vec::with_capacity(results.len());
    let mut reports = Vec::with_capacity(results.len());
    for (index, result) in results.into_iter().enumerate() {
        match result.into_report(&at.index(index)) {
            Ok((lease, report)) => {
                reports.push((LeaseToken::shown(lease), report));
                finished.push(None);
            }
            Err(problems) => finished.push(Some(Err(problems))),
        }
    }
    let mut answers = ctx.services().report_all(ctx.caller(), reports).await?.into_iter();
    let results = finished.into_iter().enumerate().map(|(index, refused)| {
        let prefix = [Segment::Field("results"), Segment::Index(index)];
        let answered = || match answers.next() {
            Some(Ok(job)) => Ok(JobNode::alone(job)),
            Some(Err(refused)) => Err(vec![problem(refused).under(&prefix)]),
            None => Err(vec![problem(Refused::LeaseLost).under(&prefix)]),
        };
        match refused.unwrap_or_else(answered) {
            Ok(job) => JobResult { job: Some(job), user_errors: Vec::new() },
            Err(problems) => {
                JobResult { job: None, user_errors: problems.into_iter().map(UserError::from).collect() }
            }
        }
    });
    Ok(results.collect())
}

async fn report(
    ctx: &Context<'_>,
    lease: String,
    report: Report,
) -> std::result::Result<std::sync::Arc<job::Job>, services::Error> {
    let lease = LeaseToken::shown(lease);
    let answer: Answer = ctx.services().report(ctx.caller(), &lease, report).await?;
    Ok(answer.map_err(problem)?)
}

/// Why a report changed nothing.
fn problem(refused: Refused) -> Problem {
    let at = At::Root.field("lease");
    match refused {
        Refused::LeaseLost => at.problem(
            ProblemCode::LeaseLost,
            "this is not, or no longer, the lease of a running attempt; stop working on its job",
        ),
        Refused::NotALoad => at.problem(
            ProblemCode::WrongState,
            "this is the lease of an extract; only a load publishes, an extract is complete when its records are there",
        ),
    }
}

fn bounded(leases: usize, at: &At<'_>) -> std::result::Result<(), Problem> {
    if leases <= MAX_LEASES {
        return Ok(());
    }
    let message = format!("these are {leases}; at most {MAX_LEASES} can be sent at once");
    Err(at.problem(ProblemCode::TooMany, message))
}

fn beats(services: &Services, input: HeartbeatInput) -> std::result::Result<Vec<Beat>, Vec<Problem>> {
    let at = At::Root.field("leases");
    bounded(input.leases.len(), &at).map_err(|problem| vec![problem])?;
    let now = services.clock().now();
    let mut problems = Vec::new();
    let mut beats = Vec::with_capacity(input.leases.len());
    for (index, LeaseHeartbeatInput { lease, progress }) in input.leases.into_iter().enumerate() {
        let at = at.index(index);
        let progress = progress.and_then(|progress| {
            let JobProgressInput { records, bytes, total, message } = progress;
            let count = |count: Option<BigCount>| count.map(|BigCount(count)| count);
            let (records, bytes, total) = (count(records), count(bytes), count(total));
            let draft = ProgressDraft { records, bytes, total, message };
            draft.parse(now, &at.field("progress"), &mut problems)
        });
        beats.push(Beat { lease: LeaseToken::shown(lease), progress });
    }
    if problems.is_empty() { Ok(beats) } else { Err(problems) }
}

/// What a job may put out.
fn checked(output: Option<Json<Value>>, at: &At<'_>) -> std::result::Result<Option<Value>, Problem> {
    output.map(|Json(output)| job::check_output(output, &at.field("output"))).transpose()
}

impl JobResultInput {
    fn into_report(self, at: &At<'_>) -> std::result::Result<(String, Report), Vec<Problem>> {
        let Self { lease, output, records, bytes, error } = self;
        let mut problems = Vec::new();
        let report = match error {
            None => {
                let number = |count: Option<BigCount>| count.map(|BigCount(count)| count);
                let output = keep(checked(output, at), &mut problems).flatten();
                let records = count(number(records), &at.field("records"), &mut problems);
                let bytes = count(number(bytes), &at.field("bytes"), &mut problems);
                Some(Report::Completed { output, records, bytes })
            }
            Some(JobErrorInput { code, message, retryable }) => {
                // `failJob` has these fields without the step in between.
                let code = keep(Text::parse(code, &at.field("code")), &mut problems);
                let again = if retryable { TryAgain::Yes } else { TryAgain::No };
                code.map(|code| Report::Failed { code, message: Message::of(message), again })
            }
        };
        match (report, problems.is_empty()) {
            (Some(report), true) => Ok((lease, report)),
            _ => Err(problems),
        }
    }
}

impl From<ClaimJobsInput> for ClaimDraft {
    fn from(input: ClaimJobsInput) -> Self {
        let ClaimJobsInput { worker, types, providers, tenant_id, limit, lease_seconds, wait_seconds } =
            input;
        Self {
            worker,
            types: types.map(|types| types.into_iter().map(Into::into).collect()),
            providers,
            tenant_id: tenant_id.map(|id| id.0),
            limit,
            lease_seconds,
            wait_seconds,
        }
    }
}

// What the descriptions above say.
const _: () =
    assert!(MAX_CLAIM == 100 && MAX_WAIT == 30 && LeaseDuration::MAX == 86_400 && Message::MAX == 8192);
