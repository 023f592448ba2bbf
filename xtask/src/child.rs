//! Runs other programs and hands on how they ended.

use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result};

/// Runs to the end and says how it went.
pub(crate) fn run(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("cannot run {}", command.get_program().display()))
}

/// Hands this process over to `command`: its exit code, its Ctrl-C and its terminal are then its own.
#[cfg(unix)]
pub(crate) fn become_child(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {}", command.get_program().display()))
}

/// Runs `command` and ends as it ended.
#[cfg(not(unix))]
pub(crate) fn become_child(command: &mut Command) -> Result<ExitCode> {
    Ok(code(run(command)?))
}

/// The exit code of this process after a child ended so; 128 + N for signal N, as shells have it.
pub(crate) fn code(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal: Option<i32> = None;
    let code = status.code().or(signal.map(|number| 128 + number));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn codes_and_signals_are_handed_on() {
        for (script, expected) in [("exit 0", 0), ("exit 2", 2), ("exit 130", 130), ("kill -TERM $$", 143)] {
            let status = run(Command::new("sh").args(["-c", script])).unwrap();
            let (got, expected) = (code(status), ExitCode::from(expected));
            assert_eq!(format!("{got:?}"), format!("{expected:?}"), "{script}");
        }
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(error.to_string().contains("no-such-program-here"));
    }
}
