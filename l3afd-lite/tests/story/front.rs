// SPDX-License-Identifier: Apache-2.0
//! An address with a registry behind it, which can be exchanged, and whose answers can be
//! replaced: what a hostile registry, a mirror or the network can do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is answered instead of the truth.
#[derive(Clone)]
pub(crate) enum Lie {
    /// A status without a body.
    Status(u16),
    /// Another body.
    Bytes(Vec<u8>),
    /// The true body, changed.
    Change(fn(&[u8]) -> Vec<u8>),
    /// Nothing, and the connection stays open.
    Hang,
    /// One byte now and then, for ever.
    Trickle,
    /// Zeros for ever.
    Endless,
}

#[derive(Default)]
struct Shown {
    registry: String,
    lies: Vec<(String, Lie)>,
    lied: usize,
}

/// The address. It lives as long as the test process.
pub(crate) struct Front {
    host: String,
    shown: Arc<Mutex<Shown>>,
}

impl Front {
    /// An address that shows the registry at `registry`, truly.
    pub(crate) fn of(registry: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shown = Arc::new(Mutex::new(Shown::default()));
        let front = Self {
            host,
            shown: Arc::clone(&shown),
        };
        front.show(registry);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shown = Arc::clone(&shown);
                // Who asked may be gone before the answer is.
                std::thread::spawn(move || drop(serve(stream, &shown)));
            }
        });
        front
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Shows another registry from now on.
    pub(crate) fn show(&self, registry: &str) {
        registry.clone_into(&mut self.shown.lock().unwrap().registry);
    }

    /// Answers so whatever is asked for with `part` in its path.
    pub(crate) fn lie(&self, part: &str, lie: Lie) {
        let mut shown = self.shown.lock().unwrap();
        shown.lies.insert(0, (part.to_owned(), lie));
    }

    /// Tells the truth again.
    pub(crate) fn repent(&self) {
        self.shown.lock().unwrap().lies.clear();
    }

    /// How often it has lied.
    pub(crate) fn lied(&self) -> usize {
        self.shown.lock().unwrap().lied
    }
}

fn serve(mut stream: TcpStream, shown: &Mutex<Shown>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut headers = String::new();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? <= 2 {
            break;
        }
        if !header.to_ascii_lowercase().starts_with("connection:") {
            headers.push_str(&header);
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (registry, lie) = {
        let mut shown = shown.lock().unwrap();
        let told = |(part, _): &&(String, Lie)| path.contains(part.as_str());
        let lie = shown.lies.iter().find(told).map(|(_, lie)| lie.clone());
        shown.lied += usize::from(lie.is_some());
        (shown.registry.clone(), lie)
    };
    let truth = || -> std::io::Result<Vec<u8>> {
        let mut upstream = TcpStream::connect(&registry)?;
        // Of this version, so that the answer ends with the connection.
        let request = request.replace("HTTP/1.1", "HTTP/1.0");
        upstream.write_all(format!("{request}{headers}\r\n").as_bytes())?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    match lie {
        None => stream.write_all(&truth()?),
        Some(Lie::Status(status)) => head(&mut stream, status, Some(0)),
        Some(Lie::Bytes(bytes)) => {
            head(&mut stream, 200, Some(bytes.len()))?;
            stream.write_all(&bytes)
        }
        Some(Lie::Change(change)) => {
            let answer = truth()?;
            let body = answer.windows(4).position(|end| end == b"\r\n\r\n");
            let body = change(&answer[body.map_or(answer.len(), |at| at + 4)..]);
            head(&mut stream, 200, Some(body.len()))?;
            stream.write_all(&body)
        }
        Some(Lie::Hang) => reader.read_to_end(&mut Vec::new()).map(drop),
        Some(Lie::Trickle) => {
            head(&mut stream, 200, None)?;
            loop {
                stream.write_all(b" ")?;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Some(Lie::Endless) => {
            head(&mut stream, 200, None)?;
            loop {
                stream.write_all(&[0; 8192])?;
            }
        }
    }
}

fn head(stream: &mut TcpStream, status: u16, length: Option<usize>) -> std::io::Result<()> {
    let length = length.map_or_else(String::new, |length| {
        format!("Content-Length: {length}\r\n")
    });
    let kind = "Content-Type: application/vnd.oci.image.index.v1+json";
    write!(
        stream,
        "HTTP/1.1 {status} Status\r\n{kind}\r\n{length}Connection: close\r\n\r\n"
    )
}
