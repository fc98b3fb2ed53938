//! Reaching the relay, and what to make of it when that fails.

use handover_shared::keys::{Entropy, OsEntropy};
use handover_shared::protocol::buyer::{Input, Pause};
use handover_shared::protocol::message::{Reply, Request};
use handover_shared::tls::ExpectedRelay;

use super::run::{Reached, Run};
use crate::error::Error;
use crate::event::{Event, Stage, StallCause};
use crate::link::Relay;

impl Run {
    /// Makes a connection; not finding anybody is no error.
    pub(super) async fn connect(&mut self) -> Result<Input, Error> {
        self.observer.event(Event::Stage(Stage::Connecting));
        let connecting =
            Relay::connect(self.home.network(), &self.address, ExpectedRelay::Key(self.relay_key), &self.link);
        let connected = tokio::select! {
            () = self.stop.asked() => return Err(Error::Interrupted),
            connected = connecting => connected,
        };
        match connected {
            Ok(relay) => {
                self.observer.event(Event::RelayReached {
                    address: self.address.to_string(),
                    fingerprint: relay.fingerprint(),
                    embedded: false,
                    transport: relay.transport(),
                });
                self.relay = Some(relay);
                Ok(Input::Connected)
            }
            Err(error) if error.is_passing() => {
                tracing::debug!(%error, "no connection");
                self.reached = Reached::Nobody;
                Ok(Input::LinkLost)
            }
            Err(error) => Err(error),
        }
    }

    /// Pauses before the next attempt, and says so.
    pub(super) async fn wait(&mut self, attempt: u32, cause: Pause) -> Result<Input, Error> {
        if attempt == 1 {
            self.backoff.reset();
        }
        let cause = match cause {
            Pause::Busy => StallCause::Busy,
            Pause::Silent => StallCause::Silent,
            Pause::Lost if self.reached == Reached::Nobody => StallCause::Unreachable,
            Pause::Lost => StallCause::Lost,
        };
        self.observer.event(Event::Stalled { attempt, cause });
        if self.reached == Reached::Moving {
            self.reached = Reached::Stalled;
        }
        let entropy: &mut dyn Entropy = &mut OsEntropy;
        let pause = self.backoff.pause(u32::from_be_bytes(entropy.array()));
        tokio::select! {
            () = self.stop.asked() => Err(Error::Interrupted),
            () = tokio::time::sleep(pause) => Ok(Input::Waited),
        }
    }

    /// What a failed operation is to the machine. What is neither a loss nor a refusal ends the run.
    pub(super) async fn failed(&mut self, error: Error) -> Result<Input, Error> {
        match error {
            Error::Refused { fault, .. } => {
                self.refusal = Some(error);
                Ok(Input::Refused(fault))
            }
            error if error.is_passing() => {
                tracing::debug!(%error, "the connection is lost");
                self.drop_link().await;
                Ok(Input::LinkLost)
            }
            error => Err(error),
        }
    }

    /// It moves again, if it did not.
    pub(super) fn moved(&mut self) {
        if self.reached != Reached::Moving {
            self.reached = Reached::Moving;
            self.observer.event(Event::Moving);
        }
    }

    /// Drops the connection with whatever is under way on it.
    pub(super) async fn drop_link(&mut self) {
        if let Some(flow) = &mut self.flow {
            flow.stop().await;
        }
        if let Some(relay) = self.relay.take() {
            // The goodbye is a courtesy; nobody waits for it.
            tokio::spawn(relay.close());
        }
    }

    /// One question, one answer.
    pub(super) async fn ask(&mut self, request: &Request) -> Result<Reply, Error> {
        let Some(relay) = &self.relay else {
            return Err(Error::Lost { address: self.address.to_string(), cause: "no connection".into() });
        };
        tokio::select! {
            () = self.stop.asked() => Err(Error::Interrupted),
            answer = relay.ask(request) => answer,
        }
    }
}
