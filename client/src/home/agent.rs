//! A small client of ssh-agent: which Ed25519 keys it holds, and signatures by them. The key itself never comes here.
//!
//! # Source
//! draft-ietf-sshm-ssh-agent, sections 3 and 4. SPEC [S20.3].

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use handover_shared::limits::{AGENT_KEYS_MAX, AGENT_MESSAGE_BYTES_MAX};
use handover_shared::proof::{PublicIdentity, SignerFault};

/// The variable that says where the agent listens.
pub const SOCKET_VARIABLE: &str = "SSH_AUTH_SOCK";

const FAILURE: u8 = 5;
const LIST: u8 = 11;
const LISTED: u8 = 12;
const SIGN: u8 = 13;
const SIGNED: u8 = 14;

/// How long the agent may take to say what it holds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to sign: it can ask its owner first.
const SIGN_PATIENCE: Duration = Duration::from_secs(120);

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    socket: PathBuf,
}

/// A key that an agent holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentKey {
    /// Its public half.
    pub key: PublicIdentity,
    /// What its owner calls it; nothing in it has been escaped.
    pub comment: String,
}

impl Agent {
    /// The agent of this session, as the environment names it.
    pub fn of_session() -> Option<Self> {
        let socket = std::env::var_os(SOCKET_VARIABLE).filter(|socket| !socket.is_empty())?;
        Some(Self::at(Path::new(&socket)))
    }

    /// The agent at this socket.
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_path_buf() }
    }

    /// The Ed25519 keys that it holds; others are left out.
    ///
    /// # Errors
    /// [`SignerFault`].
    pub fn keys(&self) -> Result<Vec<AgentKey>, SignerFault> {
        let answer = self.ask(&[LIST], PATIENCE)?;
        let mut reader = Reader(&answer);
        if reader.byte()? != LISTED {
            return Err(SignerFault::Refused);
        }
        let count = reader.number()? as usize;
        if count > AGENT_KEYS_MAX {
            return Err(SignerFault::Misbehaved);
        }
        let mut keys = Vec::new();
        for _ in 0..count {
            let (blob, comment) = (reader.string()?, reader.string()?);
            if let Ok(key) = PublicIdentity::of_blob(blob) {
                keys.push(AgentKey { key, comment: String::from_utf8_lossy(comment).into_owned() });
            }
        }
        if reader.0.is_empty() { Ok(keys) } else { Err(SignerFault::Misbehaved) }
    }

    /// Has it sign. The signature is checked before it is believed.
    ///
    /// # Errors
    /// [`SignerFault`]: `Absent` if it does not hold the key, `Refused` if it holds it and does not sign.
    pub fn sign(&self, key: &PublicIdentity, bytes: &[u8]) -> Result<[u8; 64], SignerFault> {
        let mut request = vec![SIGN];
        put(&mut request, &key.to_blob());
        put(&mut request, bytes);
        request.extend_from_slice(&0_u32.to_be_bytes());
        let answer = self.ask(&request, SIGN_PATIENCE)?;
        let mut reader = Reader(&answer);
        match reader.byte()? {
            SIGNED => {}
            FAILURE if !self.keys()?.iter().any(|held| held.key == *key) => return Err(SignerFault::Absent),
            FAILURE => return Err(SignerFault::Refused),
            _ => return Err(SignerFault::Misbehaved),
        }
        let blob = reader.string()?;
        let mut inner = Reader(blob);
        let (algorithm, signature) = (inner.string()?, inner.string()?);
        let signature = <[u8; 64]>::try_from(signature).or(Err(SignerFault::Misbehaved))?;
        let is_whole = reader.0.is_empty() && inner.0.is_empty() && algorithm == b"ssh-ed25519";
        if is_whole && key.has_signed(bytes, &signature) { Ok(signature) } else { Err(SignerFault::Misbehaved) }
    }

    fn ask(&self, request: &[u8], patience: Duration) -> Result<Vec<u8>, SignerFault> {
        let asking = || -> io::Result<Option<Vec<u8>>> {
            let mut stream = UnixStream::connect(&self.socket)?;
            stream.set_read_timeout(Some(patience))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let mut message = Vec::with_capacity(4 + request.len());
            put(&mut message, request);
            stream.write_all(&message)?;
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            let length = u32::from_be_bytes(length) as usize;
            if !(1..=AGENT_MESSAGE_BYTES_MAX).contains(&length) {
                return Ok(None);
            }
            let mut answer = vec![0; length];
            stream.read_exact(&mut answer)?;
            Ok(Some(answer))
        };
        match asking() {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(SignerFault::Misbehaved),
            Err(error) => {
                tracing::debug!(%error, "the agent does not answer");
                Err(SignerFault::Unreachable)
            }
        }
    }
}

fn put(message: &mut Vec<u8>, part: &[u8]) {
    message.extend_from_slice(&(part.len() as u32).to_be_bytes());
    message.extend_from_slice(part);
}

/// Reads what an agent says; whatever is shorter than it says is nonsense.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], SignerFault> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(SignerFault::Misbehaved)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, SignerFault> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u32, SignerFault> {
        let bytes = <[u8; 4]>::try_from(self.take(4)?).or(Err(SignerFault::Misbehaved))?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn string(&mut self) -> Result<&'a [u8], SignerFault> {
        let length = self.number()? as usize;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use handover_shared::proof::{Identity, Signer};

    use super::*;

    /// An agent that gives one answer after the other, whatever it is asked.
    fn agent(answers: Vec<Vec<u8>>) -> (tempfile::TempDir, Agent) {
        let scratch = tempfile::tempdir().unwrap();
        let socket = scratch.path().join("agent");
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut length = [0; 4];
                stream.read_exact(&mut length).unwrap();
                let mut request = vec![0; u32::from_be_bytes(length) as usize];
                stream.read_exact(&mut request).unwrap();
                stream.write_all(&answer).unwrap();
            }
        });
        (scratch, Agent::at(&socket))
    }

    fn message(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut body = vec![kind];
        parts.iter().for_each(|part| body.extend_from_slice(part));
        let mut message = Vec::new();
        put(&mut message, &body);
        message
    }

    fn string(bytes: &[u8]) -> Vec<u8> {
        let mut string = Vec::new();
        put(&mut string, bytes);
        string
    }

    #[test] // [S20.3]
    fn what_makes_no_sense_is_not_believed() {
        let own = Identity::of_seed(&[1; 32]);
        let key = own.public();
        let good = own.sign_bytes(b"text").unwrap();
        let other = Identity::of_seed(&[2; 32]).sign_bytes(b"text").unwrap();
        let signature = |bytes: &[u8]| string(&[string(b"ssh-ed25519"), string(bytes)].concat());
        let listed = |count: u32, parts: &[&[u8]]| message(LISTED, &[&count.to_be_bytes()[..], &parts.concat()]);
        let entry = [string(&key.to_blob()), string(b"wang@shop")].concat();

        let (_scratch, agent_of) = agent(vec![message(SIGNED, &[&signature(&good)])]);
        assert_eq!(agent_of.sign(&key, b"text"), Ok(good));
        let (_scratch, agent_of) = agent(vec![listed(2, &[&entry, &string(b"no key"), &string(b"")])]);
        assert_eq!(agent_of.keys().unwrap(), [AgentKey { key, comment: "wang@shop".into() }]);

        let failure = || message(FAILURE, &[]);
        for (answers, fault) in [
            (vec![message(SIGNED, &[&signature(&other)])], SignerFault::Misbehaved),
            (vec![message(SIGNED, &[&signature(&good[..63])])], SignerFault::Misbehaved),
            (vec![message(SIGNED, &[&signature(&good), b"x"])], SignerFault::Misbehaved),
            (vec![message(SIGNED, &[&string(&[string(b"ssh-rsa"), string(&good)].concat())])], SignerFault::Misbehaved),
            (vec![message(SIGNED, &[&[0xff, 0xff, 0xff, 0xff]])], SignerFault::Misbehaved),
            (vec![message(99, &[])], SignerFault::Misbehaved),
            (vec![vec![0, 0, 0, 0]], SignerFault::Misbehaved),
            (vec![vec![0xff; 8]], SignerFault::Misbehaved),
            (vec![vec![0, 0]], SignerFault::Unreachable),
            (vec![failure(), listed(1, &[&entry])], SignerFault::Refused),
            (vec![failure(), listed(0, &[])], SignerFault::Absent),
        ] {
            let (_scratch, agent_of) = agent(answers);
            assert_eq!(agent_of.sign(&key, b"text"), Err(fault));
        }
        for (answer, fault) in [
            (listed(2, &[&entry]), SignerFault::Misbehaved),
            (listed(0, &[&entry]), SignerFault::Misbehaved),
            (listed(u32::MAX, &[]), SignerFault::Misbehaved),
            (failure(), SignerFault::Refused),
        ] {
            let (_scratch, agent_of) = agent(vec![answer]);
            assert_eq!(agent_of.keys(), Err(fault));
        }
        assert_eq!(Agent::at(Path::new("/nowhere")).keys(), Err(SignerFault::Unreachable));
    }
}
