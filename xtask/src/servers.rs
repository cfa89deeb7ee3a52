//! The servers that some tests need, and `--setup`, which installs those that are missing.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that is installed by the package manager.
pub(crate) struct Server {
    /// The program, as a shell finds it.
    program: &'static str,
    /// Its package in Debian and Ubuntu.
    package: &'static str,
}

/// What the steps that need servers need.
pub(crate) const SERVERS: &[Server] = &[
    Server { program: "rabbitmq-server", package: "rabbitmq-server" },
    Server { program: "redis-server", package: "redis-server" },
    // Counts the instructions of the benchmark.
    Server { program: "valgrind", package: "valgrind" },
    // Ends the servers of a test that is killed; `autobus-testkit` starts them with it.
    #[cfg(target_os = "linux")]
    Server { program: "setpriv", package: "util-linux" },
];

/// Makes sure that every server is installed.
///
/// # Errors
///
/// The missing ones, and the command that installs them.
pub(crate) fn check() -> Result<(), String> {
    complain(&missing())
}

/// Installs the servers that are missing.
///
/// # Errors
///
/// Why they cannot be installed, and what to do about it.
pub(crate) fn set_up() -> Result<(), String> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|server| server.package).collect();
    if find("apt-get").is_none() {
        let packages = packages.join(", ");
        return Err(format!(
            "`--setup` installs with apt-get, which is not here; install {packages} another way, so \
             that their programs are in the PATH, and run this again"
        ));
    }
    for args in [&["update"][..], &install(&packages)] {
        let mut command = apt_get(is_root(), args)?;
        println!("$ {}", shown(&command));
        let status = command.status().map_err(|error| format!("apt-get cannot be run: {error}"))?;
        // An update that fails for one source of many may still suffice.
        if !status.success() && args != ["update"] {
            return Err(format!(
                "apt-get failed ({status}); install {} by hand",
                packages.join(", ")
            ));
        }
    }
    check()
}

fn missing() -> Vec<&'static Server> {
    // Debian has the scripts that run as any user in a folder of their own.
    let unwrapped = |program| Path::new("/usr/lib/rabbitmq/bin").join(program).is_file();
    let is_there = |program| find(program).is_some() || unwrapped(program);
    SERVERS.iter().filter(|server| !is_there(server.program)).collect()
}

fn complain(missing: &[&Server]) -> Result<(), String> {
    if missing.is_empty() {
        return Ok(());
    }
    let programs: Vec<&str> = missing.iter().map(|server| server.program).collect();
    Err(format!(
        "not installed: {}; `cargo xtask test --setup` installs what is missing",
        programs.join(", ")
    ))
}

/// The file of a program: what the PATH has, or the folders of servers, which a user's may lack.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let mut folders = std::env::split_paths(&path).chain(system);
    folders.find_map(|folder| Some(folder.join(program)).filter(|file| file.is_file()))
}

fn install<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    // Another run of apt is waited for.
    let lock = ["-o", "DPkg::Lock::Timeout=300"];
    [&lock, &["install", "--yes", "--no-install-recommends"][..], packages].concat()
}

/// The command line, by way of `sudo` for whoever is not root.
fn apt_get(root: bool, args: &[&str]) -> Result<Command, String> {
    let words = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
    let mut words = words.iter().chain(args);
    let mut command = match (root, find("sudo")) {
        (true, _) => Command::new(words.next().unwrap_or(&"env")),
        (false, Some(sudo)) => Command::new(sudo),
        (false, None) => {
            let args = args.join(" ");
            return Err(format!(
                "only root may install, and there is no sudo; run: apt-get {args}"
            ));
        }
    };
    command.args(words);
    Ok(command)
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_server_is_named_with_the_command_that_installs_it() {
        assert_eq!(complain(&[]), Ok(()));
        let error = complain(&[&SERVERS[0], &SERVERS[1]]).unwrap_err();
        assert_eq!(
            error,
            "not installed: rabbitmq-server, redis-server; \
             `cargo xtask test --setup` installs what is missing"
        );
    }

    #[test]
    fn root_installs_without_asking_and_without_recommendations() {
        let command = apt_get(true, &install(&["redis-server"])).unwrap();
        assert_eq!(
            shown(&command),
            "env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
             install --yes --no-install-recommends redis-server"
        );
    }

    #[test]
    fn others_install_by_sudo_or_are_told_what_to_run() {
        match apt_get(false, &["update"]) {
            Ok(command) => {
                let shown = shown(&command);
                assert!(
                    shown.ends_with("sudo env DEBIAN_FRONTEND=noninteractive apt-get update"),
                    "{shown}"
                );
            }
            Err(error) => assert!(error.ends_with("run: apt-get update"), "{error}"),
        }
    }
}
