//! Requests that come in at the same time, done in one round: one transaction, whatever their number.
//!
//! Nobody waits for others to come: a round starts as soon as there is a request, and takes what
//! has gathered while the one before it ran.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::Error;
use crate::store;

/// How many requests may wait before the next one must wait to wait.
const WAITING: usize = 1024;

/// A queue of requests `Q` that are answered by `A`.
#[derive(Debug)]
pub struct Gather<Q, A> {
    sender: mpsc::Sender<Waiting<Q, A>>,
}

type Waiting<Q, A> = (Q, oneshot::Sender<Result<A, Arc<store::Error>>>);

impl<Q: Send + 'static, A: Send + 'static> Gather<Q, A> {
    /// Starts to answer requests, at most `most` a round. It ends when this is dropped.
    pub fn start<F>(most: usize, round: impl Fn(Vec<Q>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Vec<A>, store::Error>> + Send + 'static,
    {
        let (sender, mut receiver) = mpsc::channel::<Waiting<Q, A>>(WAITING);
        tokio::spawn(async move {
            let mut gathered = Vec::new();
            while receiver.recv_many(&mut gathered, most).await > 0 {
                let (requests, replies): (Vec<Q>, Vec<_>) = gathered.drain(..).unzip();
                // In a task of its own: one that panics takes down its own round and no other.
                let answers = tokio::spawn(round(requests)).await;
                match answers.unwrap_or(Err(store::Error::Interrupted)) {
                    // Whoever has hung up meanwhile is not told.
                    Ok(answers) => replies.into_iter().zip(answers).for_each(|(reply, answer)| {
                        let _ = reply.send(Ok(answer));
                    }),
                    Err(error) => {
                        let error = Arc::new(error);
                        replies.into_iter().for_each(|reply| {
                            let _ = reply.send(Err(error.clone()));
                        });
                    }
                }
            }
        });
        Self { sender }
    }

    /// Has a request done in the next round.
    pub async fn ask(&self, request: Q) -> Result<A, Error> {
        let (reply, answer) = oneshot::channel();
        let interrupted = || Error::Failed(Arc::new(store::Error::Interrupted));
        self.sender.send((request, reply)).await.map_err(|_| interrupted())?;
        answer.await.map_err(|_| interrupted())?.map_err(Error::Failed)
    }
}
