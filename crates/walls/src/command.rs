//! Running a command with a time limit.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether it ended with exit code 0.
    pub ok: bool,
    /// Both of its streams, as they came.
    pub text: String,
}

/// Runs `command` without input, and kills it when it takes longer than `limit`.
///
/// # Errors
/// When it can't be started, says something that is no UTF-8, or outlives `limit`.
pub fn run(mut command: Command, limit: Duration) -> io::Result<Outcome> {
    let (mut reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    drop(command); // It holds the writing ends, and the reader waits for the last of them.

    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut text = String::new();
        let read = reader.read_to_string(&mut text).map(|_| text);
        let _gone = sender.send(read);
    });
    match receiver.recv_timeout(limit) {
        Ok(text) => Ok(Outcome { text: text?, ok: child.wait()?.success() }),
        Err(_) => {
            child.kill()?;
            child.wait()?;
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no end within {limit:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_streams_and_the_exit_code_arrive() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let outcome = run(command, Duration::from_secs(30)).unwrap();
        assert!(!outcome.ok);
        assert!(outcome.text.contains("out") && outcome.text.contains("err"));
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let mut command = Command::new("sh");
        command.args(["-c", "exec sleep 600"]);
        let error = run(command, Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
