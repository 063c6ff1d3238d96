// SPDX-License-Identifier: Apache-2.0
//! A door before a registry that wants even nobody in particular to fetch a token first,
//! as large public registries do. Only for reading.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
};

const TOKEN: &str = "authorization: bearer anybody";

/// The door. It lives as long as the test process.
pub(crate) struct Gate {
    pub(crate) host: String,
}

impl Gate {
    /// Stands before the registry at `behind`.
    pub(crate) fn before(behind: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("an address").to_string();
        let (own, behind) = (host.clone(), behind.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (own, behind) = (own.clone(), behind.clone());
                // Who breaks off has heard enough.
                std::thread::spawn(move || answer(stream, &own, &behind).ok());
            }
        });
        Self { host }
    }
}

fn answer(mut stream: TcpStream, own: &str, behind: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let first = head.first().cloned().unwrap_or_default();
    if first.contains(" /token") {
        let body = r#"{"token":"anybody","expires_in":300}"#;
        return write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
    }
    if !head.iter().any(|line| line.to_lowercase() == TOKEN) {
        return write!(
            stream,
            "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer realm=\"http://{own}/token\",service=\"gate\"\r\n\
             content-length: 0\r\nconnection: close\r\n\r\n"
        );
    }
    let mut inside = TcpStream::connect(behind)?;
    for line in head
        .iter()
        .filter(|line| !line.to_lowercase().starts_with("connection"))
    {
        write!(inside, "{line}\r\n")?;
    }
    write!(inside, "connection: close\r\n\r\n")?;
    std::io::copy(&mut inside, &mut stream).map(drop)
}
