//! JSON by hand.

use std::{collections::HashMap, io::Write};

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use super::{Batch, Connection, Dependency, Job, Rows};

/// The nested page.
pub fn nested(rows: &Rows) -> Vec<u8> {
    let connections: HashMap<Uuid, &Connection> = rows.connections.iter().map(|row| (row.id, row)).collect();
    let jobs: HashMap<Uuid, &[Job]> =
        rows.jobs.chunk_by(|a, b| a.batch == b.batch).map(|jobs| (jobs[0].batch, jobs)).collect();
    let dependencies: HashMap<Uuid, &[Dependency]> = rows
        .dependencies
        .chunk_by(|a, b| a.batch == b.batch)
        .map(|dependencies| (dependencies[0].batch, dependencies))
        .collect();
    let mut out = Vec::with_capacity(rows.jobs.len() * 500);
    out.extend(br#"{"data":{"batches":{"nodes":["#);
    for (index, batch) in rows.batches.iter().enumerate() {
        comma(&mut out, index);
        out.push(b'{');
        flat_batch(&mut out, batch);
        for (field, id) in [("sourceConnection", batch.source), ("destinationConnection", batch.destination)]
        {
            write!(out, r#","{field}":{{"id":""#).unwrap();
            let connection = connections[&id];
            type_id(&mut out, "connection", id);
            out.extend(br#"","name":"#);
            string(&mut out, &connection.name);
            out.extend(br#","provider":"#);
            string(&mut out, &connection.provider);
            out.push(b'}');
        }
        out.extend(br#","jobs":["#);
        let jobs = jobs[&batch.id];
        let mut dependencies = dependencies.get(&batch.id).copied().unwrap_or_default();
        for (position, job) in jobs.iter().enumerate() {
            comma(&mut out, position);
            out.push(b'{');
            flat_job(&mut out, position, job);
            out.extend(br#","connection":{"id":""#);
            type_id(&mut out, "connection", job.connection);
            out.extend(br#"","name":"#);
            string(&mut out, &connections[&job.connection].name);
            out.extend(br#"},"dependencies":["#);
            let of_job = dependencies.iter().take_while(|edge| edge.dependent as usize == position).count();
            for (index, dependency) in dependencies[..of_job].iter().enumerate() {
                comma(&mut out, index);
                let required = &jobs[dependency.required as usize];
                let satisfied = required.status == "SUCCEEDED";
                write!(out, r#"{{"kind":"{}","satisfied":{satisfied},"job":{{"id":""#, dependency.kind)
                    .unwrap();
                type_id(&mut out, "job", required.id);
                out.extend(br#"","object":"#);
                string(&mut out, &required.object);
                write!(out, r#","status":"{}"}}}}"#, required.status).unwrap();
            }
            dependencies = &dependencies[of_job..];
            out.extend(b"]}");
        }
        out.extend(b"]}");
    }
    out.extend(b"]}}}");
    out
}

/// Batches without anything around them.
pub fn list(batches: &[Batch]) -> Vec<u8> {
    let mut out = Vec::with_capacity(batches.len() * 200);
    out.extend(br#"{"data":{"batches":{"nodes":["#);
    for (index, batch) in batches.iter().enumerate() {
        comma(&mut out, index);
        out.push(b'{');
        flat_batch(&mut out, batch);
        out.push(b'}');
    }
    out.extend(b"]}}}");
    out
}

/// One batch with its jobs.
pub fn batch(batch: &Batch, jobs: &[Job]) -> Vec<u8> {
    let mut out = Vec::with_capacity(jobs.len() * 250 + 200);
    out.extend(br#"{"data":{"batch":{"#);
    flat_batch(&mut out, batch);
    out.extend(br#","jobs":["#);
    for (position, job) in jobs.iter().enumerate() {
        comma(&mut out, position);
        out.push(b'{');
        flat_job(&mut out, position, job);
        out.push(b'}');
    }
    out.extend(b"]}}}");
    out
}

fn flat_batch(out: &mut Vec<u8>, batch: &Batch) {
    out.extend(br#""id":""#);
    type_id(out, "batch", batch.id);
    write!(out, r#"","status":"{}","priority":{},"createdAt":""#, batch.status, batch.priority).unwrap();
    time(out, batch.created_at);
    out.extend(br#"","since":"#);
    match batch.since {
        Some(since) => {
            out.push(b'"');
            time(out, since);
            out.push(b'"');
        }
        None => out.extend(b"null"),
    }
}

fn flat_job(out: &mut Vec<u8>, position: usize, job: &Job) {
    out.extend(br#""id":""#);
    type_id(out, "job", job.id);
    write!(out, r#"","position":{position},"type":"{}","object":"#, job.job_type).unwrap();
    string(out, &job.object);
    out.extend(br#","grain":"#);
    match &job.grain {
        Some(grain) => string(out, grain),
        None => out.extend(b"null"),
    }
    let Job { status, wave, attempt, max_attempts, .. } = job;
    write!(out, r#","status":"{status}","wave":{wave},"attempt":{attempt},"maxAttempts":{max_attempts}"#)
        .unwrap();
}

fn comma(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).unwrap();
}

fn time(out: &mut Vec<u8>, time: DateTime<Utc>) {
    out.extend(time.to_rfc3339_opts(SecondsFormat::AutoSi, true).bytes());
}

/// The prefix, an underscore, and the UUID in Crockford's base 32: 26 digits of five bits each.
fn type_id(out: &mut Vec<u8>, prefix: &str, id: Uuid) {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    out.extend(prefix.bytes());
    out.push(b'_');
    let bits = id.as_u128();
    out.extend((0..26).rev().map(|digit| DIGITS[(bits >> (5 * digit)) as usize & 31]));
}
