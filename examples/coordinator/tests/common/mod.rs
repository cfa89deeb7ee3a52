//! What the tests share: a program with its front, and somebody who asks it over HTTP.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};

use bus::{Builder, Bus, Running};
use modules::contracts::{self, Status};
use modules::http::{Address, address};
use modules::notifier::Webhook;
use modules::state;
use serde_json::{Value, json};

/// The program with a state in memory, a front on a free port and no webhook.
pub(crate) fn program() -> Builder {
    let store = state::open(None).unwrap();
    bus::builder().state(store).state(Webhook::default()).state(Address("127.0.0.1:0".to_owned()))
}

pub(crate) fn start() -> (Running, Client) {
    let bus = program().build().unwrap();
    let client = Client::of(&bus);
    (bus, client)
}

/// One who asks the front.
pub(crate) struct Client {
    pub(crate) front: SocketAddr,
}

impl Client {
    pub(crate) fn of(bus: &Bus) -> Self {
        Self::at(address::on(bus).execute().wait().unwrap())
    }

    pub(crate) fn at(front: SocketAddr) -> Self {
        Self { front }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.front)
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        read(&minreq::get(self.url(path)).send().unwrap())
    }

    pub(crate) fn post(&self, request: &Value) -> (u16, Value) {
        self.send("application/json", &request.to_string())
    }

    pub(crate) fn send(&self, content_type: &str, body: &str) -> (u16, Value) {
        let post = minreq::post(self.url("/requests")).with_header("Content-Type", content_type);
        read(&post.with_body(body).send().unwrap())
    }

    /// The events of a request until its end: the name and the data of each.
    pub(crate) fn events(&self, id: &str) -> impl Iterator<Item = (String, Value)> + use<> {
        let response =
            minreq::get(self.url(&format!("/requests/{id}/events"))).send_lazy().unwrap();
        assert_eq!(response.status_code, 200);
        let mut name = String::new();
        let lines = BufReader::new(response).lines();
        lines.map_while(Result::ok).filter_map(move |line| {
            if let Some(event) = line.strip_prefix("event: ") {
                event.clone_into(&mut name);
            }
            let data = line.strip_prefix("data: ")?;
            Some((name.clone(), serde_json::from_str(data).unwrap()))
        })
    }

    /// Waits for the end of a request.
    pub(crate) fn solved(&self, id: &str) -> Value {
        let last = self.events(id).last().unwrap();
        assert_eq!(last.0, "status");
        last.1
    }
}

fn read(response: &minreq::Response) -> (u16, Value) {
    let code = response.status_code;
    let text = response.as_str().unwrap();
    (code, serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// A request that is solved soon.
pub(crate) fn request(id: &str) -> Value {
    json!({ "id": id, "text": "hello", "difficulty": 10 })
}

/// How far a request is, as the bus knows it.
pub(crate) fn status_of(bus: &Bus, id: &str) -> Option<Status> {
    contracts::status::on(bus).execute(id).wait().unwrap()
}

/// Somebody who takes alerts, and answers each with the next of `codes`, the last one for ever.
pub(crate) fn webhook(codes: &'static [u16]) -> (Webhook, Receiver<Posted>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/alerts", listener.local_addr().unwrap());
    (Webhook(Some(url)), serve(listener, codes))
}

/// What was posted.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) key: String,
    pub(crate) body: Value,
}

pub(crate) fn serve(listener: TcpListener, codes: &'static [u16]) -> Receiver<Posted> {
    let (posted, receiver) = channel();
    std::thread::spawn(move || {
        let mut codes = codes.iter().copied();
        let mut code = 200;
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut reader = BufReader::new(connection.try_clone().unwrap());
            let (mut length, mut key) = (0, String::new());
            for line in
                reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty())
            {
                let line = line.to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.parse().unwrap();
                }
                if let Some(value) = line.strip_prefix("idempotency-key: ") {
                    value.clone_into(&mut key);
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            code = codes.next().unwrap_or(code);
            let head =
                format!("HTTP/1.1 {code} Code\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            // Before the answer, so that whoever has that finds this.
            let body = serde_json::from_slice(&body).unwrap();
            if posted.send(Posted { key, body }).is_err() {
                return;
            }
            connection.write_all(head.as_bytes()).unwrap();
        }
    });
    receiver
}
