//! Without its servers, a step fails; it does not pass.

use std::process::Command;

#[test]
fn a_missing_server_is_a_failure_that_names_the_command() {
    // With an empty PATH, at least what counts instructions is missing everywhere.
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = xtask.args(["test", "servers"]).env("PATH", "").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("not installed: ") && said.contains("`cargo xtask test --setup`"),
        "{said}"
    );
    assert!(!String::from_utf8_lossy(&output.stdout).contains("== "), "no step has run");
}
