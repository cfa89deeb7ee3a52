//! The proxy does to a connection what it says, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use autobus_testkit::{Proxy, poll_until, ports};

/// A server that the test plays itself, behind a proxy.
struct Scene {
    listener: TcpListener,
    proxy: Proxy,
}

impl Scene {
    fn new() -> Self {
        let listener = TcpListener::bind(ports::loopback(0)).unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap());
        Self { listener, proxy }
    }

    /// Both ends of a new connection through the proxy.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.proxy.addr()).unwrap();
        let server = self.listener.accept().unwrap().0;
        for socket in [&client, &server] {
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            socket.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        }
        (client, server)
    }
}

fn send(mut socket: &TcpStream, bytes: &[u8]) {
    socket.write_all(bytes).unwrap();
}

fn expect(mut socket: &TcpStream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    socket.read_exact(&mut read).unwrap();
    assert_eq!(read, bytes);
}

/// Nothing arrives for a while.
fn expect_silence(socket: &TcpStream) {
    expect_silence_for(socket, Duration::from_millis(100));
}

fn expect_silence_for(mut socket: &TcpStream, time: Duration) {
    socket.set_read_timeout(Some(time)).unwrap();
    let error = socket.read(&mut [0]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
}

fn expect_reset(mut socket: &TcpStream) {
    assert_eq!(socket.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn bytes_pass_unchanged_both_ways_and_so_does_the_end() {
    let scene = Scene::new();
    let (client, server) = scene.connect();
    let bytes: Vec<u8> = (0..8_000_000_u32).map(|index| (index % 251) as u8).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            send(&client, &bytes);
            client.shutdown(Shutdown::Write).unwrap();
        });
        expect(&server, &bytes);
    });
    assert_eq!((&server).read(&mut [0]).unwrap(), 0);
    // The other direction is still open.
    send(&server, b"answer");
    expect(&client, b"answer");
    assert_eq!(scene.proxy.connections(), 1);
    drop(server);
    assert_eq!((&client).read(&mut [0]).unwrap(), 0);
    poll_until("the connection is over", || (scene.proxy.connections() == 0).then_some(()));
}

#[test]
fn a_cut_resets_every_connection_and_no_later_one() {
    let scene = Scene::new();
    let (one, two) = (scene.connect(), scene.connect());
    assert_eq!(scene.proxy.connections(), 2);
    assert_eq!(scene.proxy.cut(), 2);
    for socket in [&one.0, &one.1, &two.0, &two.1] {
        expect_reset(socket);
    }
    let (client, server) = scene.connect();
    send(&client, b"again");
    expect(&server, b"again");
    assert_eq!((scene.proxy.cuts(), scene.proxy.accepted()), (2, 3));
    assert_eq!(scene.proxy.connections(), 1);
}

#[test]
fn who_is_refused_is_refused_until_accepted_and_others_stay() {
    let scene = Scene::new();
    let (client, server) = scene.connect();
    scene.proxy.refuse();
    let error = TcpStream::connect(scene.proxy.addr()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    send(&client, b"still here");
    expect(&server, b"still here");
    scene.proxy.accept();
    let (client, server) = scene.connect();
    send(&server, b"welcome");
    expect(&client, b"welcome");
}

#[test]
fn a_delay_is_kept_in_both_directions_and_keeps_the_order() {
    let delay = Duration::from_millis(150);
    let scene = Scene::new();
    let (client, server) = scene.connect();
    scene.proxy.delay(delay);
    for (from, to) in [(&client, &server), (&server, &client)] {
        let start = Instant::now();
        send(from, b"slow");
        expect(to, b"slow");
        assert!(start.elapsed() >= delay, "{:?}", start.elapsed());
    }
    send(&client, b"first ");
    // It is in the proxy when the server's side can be asked for it: order it, then lift the delay.
    expect_silence(&server);
    scene.proxy.delay(Duration::ZERO);
    send(&client, b"second");
    expect(&server, b"first second");
}

#[test]
fn what_is_swallowed_never_arrives_and_the_connection_stays() {
    let scene = Scene::new();
    let (client, server) = scene.connect();
    send(&client, b"before");
    expect(&server, b"before");
    scene.proxy.swallow();
    // More than the buffers of both sockets hold: it is taken, not left waiting.
    send(&client, &vec![7; 16 << 20]);
    send(&server, b"lost too");
    expect_silence(&server);
    expect_silence(&client);
    assert_eq!(scene.proxy.connections(), 1);
}

#[test]
fn a_stream_that_lost_bytes_is_reset_when_others_pass_again() {
    let scene = Scene::new();
    let (lossy, idle) = (scene.connect(), scene.connect());
    scene.proxy.swallow();
    send(&lossy.0, b"lost");
    expect_silence(&lossy.1);
    scene.proxy.pass();
    expect_reset(&lossy.0);
    expect_reset(&lossy.1);
    send(&idle.0, b"kept");
    expect(&idle.1, b"kept");
    assert_eq!(scene.proxy.cuts(), 0);
}

#[test]
fn the_end_of_a_swallowed_connection_is_not_told() {
    let scene = Scene::new();
    let (client, server) = scene.connect();
    scene.proxy.swallow();
    drop(client);
    expect_silence(&server);
    scene.proxy.pass();
    expect_reset(&server);
}

#[test]
fn what_is_held_arrives_when_it_passes_again() {
    let scene = Scene::new();
    let (client, server) = scene.connect();
    scene.proxy.hold();
    send(&client, b"held");
    expect_silence(&server);
    scene.proxy.pass();
    expect(&server, b"held");
}

#[test]
fn what_was_on_its_way_is_held_too() {
    let scene = Scene::new();
    let (client, server) = scene.connect();
    let delay = Duration::from_millis(500);
    scene.proxy.delay(delay);
    send(&client, b"held");
    // It is read by the time that a second order is obeyed, and not due.
    assert_eq!(scene.proxy.connections(), 1);
    scene.proxy.hold();
    expect_silence_for(&server, delay * 2);
    // It is due, and the thread is awake.
    assert_eq!(scene.proxy.connections(), 1);
    expect_silence(&server);
    scene.proxy.pass();
    expect(&server, b"held");
}

#[test]
fn a_target_that_is_down_ends_the_connection() {
    let proxy = Proxy::start(ports::loopback(ports::free()));
    let mut client = TcpStream::connect(proxy.addr()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let ended = client.read(&mut [0]);
    let reset = ended.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset);
    assert!(reset || matches!(ended, Ok(0)), "{ended:?}");
    poll_until("it is forgotten", || (proxy.connections() == 0).then_some(()));
}

#[test]
fn the_drop_of_a_proxy_ends_its_connections_and_its_port() {
    let scene = Scene::new();
    let (client, server) = scene.connect();
    let addr = scene.proxy.addr();
    drop(scene.proxy);
    assert!(matches!((&client).read(&mut [0]), Ok(0) | Err(_)));
    assert!(matches!((&server).read(&mut [0]), Ok(0) | Err(_)));
    assert!(TcpStream::connect(addr).is_err());
}
