//! `amqps`: a broker whose certificate is trusted and for its host, and the others.
//!
//! Whom to trust is in the environment, so whoever connects is a process of its own: this file's test
//! binary, run again for the one test that the others run.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use std::path::{Path, PathBuf};

use autobus_testkit::{Options, Process, Rabbit, ports, process};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use support::{ack, connect, event, listener, options, try_connect};

/// Tells the child where to connect.
const URL: &str = "AUTOBUS_TEST_URL";

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn child() {
    let Ok(url) = std::env::var(URL) else { return };
    if let Err(error) = try_connect(&url, &options()) {
        println!("refused {:?} {error} {error:?}", error.kind());
        return;
    }
    let bus = connect(&url);
    let queue = listener("billing.order", "order.#");
    bus.declare(std::slice::from_ref(&queue)).unwrap();
    let consumer = bus.consume(&queue, 8);
    // Longer than a record of TLS.
    let mut message = event(1);
    message.body = vec![b'7'; 100_000];
    bus.publish(message.clone()).unwrap();
    let incoming = consumer.next();
    assert_eq!(incoming.message.body, message.body);
    ack(incoming);
    bus.close();
    println!("done");
}

/// Runs the child, who trusts the authorities in a file; gives what it says.
fn connecting(url: &str, trusted: &Path) -> String {
    let mut command = process::command(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored", "--nocapture"]);
    command.env(URL, url).env("SSL_CERT_FILE", trusted).env_remove("SSL_CERT_DIR");
    let child = Process::spawn("child", command).unwrap();
    // The harness writes the name of the test on the same line.
    let said = child.wait_for_line(|line| line.contains("done") || line.contains("refused"));
    assert!(child.wait().success(), "{}", child.tail());
    said
}

/// Certificates in a folder of their own: an authority, what it has signed for `localhost`, and another
/// authority.
struct Certificates(PathBuf);

impl Certificates {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tls");
        std::fs::create_dir_all(&folder).unwrap();
        let certificates = Self(folder);
        certificates.authority("other.pem");
        let authority = certificates.authority("authority.pem");
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        certificates.write("broker.pem", &params.signed_by(&key, &authority).unwrap().pem());
        certificates.write("broker.key", &key.serialize_pem());
        certificates
    }

    fn authority(&self, file: &str) -> Issuer<'static, KeyPair> {
        let mut params = CertificateParams::new([]).unwrap();
        // One of the same name would be another key of the same authority.
        params.distinguished_name.push(DnType::CommonName, file);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        self.write(file, &params.self_signed(&key).unwrap().pem());
        Issuer::new(params, key)
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.file(file), text).unwrap();
    }

    fn file(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }
}

#[test]
#[ignore = "needs rabbitmq-server; run `cargo xtask test --setup`"]
fn a_broker_is_trusted_by_its_authority_and_for_its_host_alone() {
    let certificates = Certificates::new();
    let (port, at) = (ports::free(), |file| certificates.file(file).display().to_string());
    let options = Options::default()
        .with_config(&format!("listeners.ssl.default = 127.0.0.1:{port}"))
        .with_config(&format!("ssl_options.certfile = {}", at("broker.pem")))
        .with_config(&format!("ssl_options.keyfile = {}", at("broker.key")))
        .with_config("ssl_options.verify = verify_none");
    let _node = Rabbit::start_with(&options);
    let (ours, other) = (certificates.file("authority.pem"), certificates.file("other.pem"));

    let said = connecting(&format!("amqps://localhost:{port}"), &ours);
    assert!(said.contains("done"), "{said}");

    // Who is not trusted is not told the password, and it is in no error.
    let said = connecting(&format!("amqps://me:s3cret@localhost:{port}"), &other);
    let expected = format!(
        "the certificate of the broker at `localhost:{port}` is signed by nobody who is trusted; \
         name the file of its authority in `SSL_CERT_FILE`"
    );
    assert!(said.contains("refused Transport") && said.contains(&expected), "{said}");
    assert!(!said.contains("s3cret"), "{said}");

    let said = connecting(&format!("amqps://me:s3cret@127.0.0.1:{port}"), &ours);
    let expected = format!(
        "the certificate of the broker at `127.0.0.1:{port}` is for another host; correct the host \
         in the URL, or have it signed for this one"
    );
    assert!(said.contains("refused Transport") && said.contains(&expected), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}
