//! A client that sends the same request again and again, over connections that it keeps.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// How long it went on.
    pub seconds: f64,
    /// How long each request took.
    pub latencies: Vec<Duration>,
    /// The length of one response's body.
    pub bytes: usize,
}

/// The request that asks `path` with this body.
pub fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends the request from as many clients at once, each the next time when it has its answer.
pub async fn load(address: SocketAddr, request: &[u8], clients: usize, duration: Duration) -> Load {
    let start = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..clients {
        let request = request.to_vec();
        running.spawn(async move {
            let mut client = Client::connect(address).await;
            let mut latencies = Vec::new();
            let mut bytes = 0;
            while start.elapsed() < duration {
                let sent = Instant::now();
                bytes = client.send(&request).await.len();
                latencies.push(sent.elapsed());
            }
            (latencies, bytes)
        });
    }
    let mut load = Load::default();
    while let Some(client) = running.join_next().await {
        let (latencies, bytes) = client.unwrap();
        load.latencies.extend(latencies);
        load.bytes = bytes;
    }
    load.seconds = start.elapsed().as_secs_f64();
    load
}

/// The body of one answer.
pub async fn once(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    Client::connect(address).await.send(request).await.to_vec()
}

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: vec![0; 1 << 20] }
    }

    /// Sends the request and reads the answer, which must be good. Gives its body.
    async fn send(&mut self, request: &[u8]) -> &[u8] {
        self.stream.write_all(request).await.unwrap();
        let mut read = 0;
        let (head, length) = loop {
            read += self.read(read).await;
            let text = String::from_utf8_lossy(&self.buffer[..read.min(4_096)]);
            if let Some(end) = text.find("\r\n\r\n") {
                assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
                let mut lines = text[..end].lines().filter_map(|line| line.split_once(": "));
                let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
                break (end + 4, length.expect("an answer says how long it is").1.parse::<usize>().unwrap());
            }
        };
        while read < head + length {
            read += self.read(read).await;
        }
        &self.buffer[head..head + length]
    }

    async fn read(&mut self, filled: usize) -> usize {
        if filled == self.buffer.len() {
            self.buffer.resize(filled * 2, 0);
        }
        let read = self.stream.read(&mut self.buffer[filled..]).await.unwrap();
        assert!(read > 0, "the server has closed the connection");
        read
    }
}
