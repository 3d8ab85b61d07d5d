//! A web server on the loopback that answers as a test tells it to.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a client asked for.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    headers: Vec<(String, String)>,
    /// How many requests came before this one.
    pub number: usize,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The offset of a `Range: bytes=N-`.
    pub fn range_start(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// What the server does with a request.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Keep the connection open and silent this long after the last byte.
    pub silence: Duration,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), silence: Duration::ZERO }
            .header("Content-Length", 0)
    }

    pub fn redirect(location: impl ToString) -> Self {
        Self::status(302).header("Location", location.to_string())
    }

    /// The whole of `body`.
    pub fn whole(body: &[u8]) -> Self {
        Self::cut(body, body.len())
    }

    /// Announces all of `body`, sends the first `sent` bytes.
    pub fn cut(body: &[u8], sent: usize) -> Self {
        Self::unannounced(&body[..sent])
            .header("Content-Length", body.len())
            .header("ETag", "\"one\"")
    }

    /// `body` without its length, ended by closing the connection.
    pub fn unannounced(body: &[u8]) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.to_vec(), silence: Duration::ZERO }
    }

    /// The rest of `body` from `start`.
    pub fn part(body: &[u8], start: usize) -> Self {
        let range = format!("bytes {start}-{}/{}", body.len() - 1, body.len());
        let mut reply = Self::whole(&body[start..]).header("Content-Range", range);
        reply.status = 206;
        reply
    }

    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn then_silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }
}

/// A running server; stops when dropped.
pub struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let (seen, stop) = (Arc::clone(&requests), Arc::clone(&stopping));
        let answer = Arc::new(answer);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                // A client that goes away in the middle is part of the tests.
                std::thread::spawn(move || {
                    stream.ok().and_then(|stream| serve(stream, &seen, &*answer).ok())
                });
            }
        });
        Self { address, requests, stopping, thread: Some(thread) }
    }

    /// Serves `body` with ranges, at any path.
    pub fn of(body: Vec<u8>) -> Self {
        Self::start(move |request| match request.range_start() {
            Some(start) => Reply::part(&body, start),
            None => Reply::whole(&body),
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &(impl Fn(&Request) -> Reply + ?Sized),
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_write_timeout(Some(Duration::from_secs(20)))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let request = {
        let mut seen = seen.lock().unwrap();
        let request = Request { path, headers, number: seen.len() };
        seen.push(request.clone());
        request
    };
    let reply = answer(&request);
    let mut head = format!("HTTP/1.1 {} Answer\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(&reply.body)?;
    stream.flush()?;
    std::thread::sleep(reply.silence);
    Ok(())
}
