//! Makes the vector files, from counted bytes.

mod keys;
mod log;
mod proof;
mod text;

use super::common::World;
use super::file::Vector;
use super::replay::replay;

/// The files, by name.
pub fn all() -> Vec<(String, String)> {
    let world = World::new();
    let mut files = Files(Vec::new());
    keys::codes(&world, &mut files);
    keys::schedule(&world, &mut files);
    keys::sealing(&mut files);
    keys::envelopes(&world, &mut files);
    keys::shares(&world, &mut files);
    text::statements(&world, &mut files);
    proof::signatures(&world, &mut files);
    proof::destructions(&world, &mut files);
    proof::offers(&world, &mut files);
    proof::claims(&world, &mut files);
    proof::seals(&world, &mut files);
    proof::receipts(&world, &mut files);
    log::log(&mut files);
    files.0
}

/// What is written as text where one line holds it.
const TEXT_FIELDS: [&str; 7] = [
    "gives-text",
    "gives-english",
    "gives-chinese",
    "gives-relay",
    "gives-fingerprint",
    "gives-label",
    "gives-buyer-name",
];

struct Files(Vec<(String, String)>);

impl Files {
    /// Adds a vector, with what it gives. What is expected was said where the vector was made.
    fn add(&mut self, name: &str, mut vector: Vector) {
        let outcome = replay(&vector);
        assert_eq!(outcome.expect, vector.text("expect"), "{name}");
        for (field, bytes) in outcome.gives {
            vector = match String::from_utf8(bytes) {
                Ok(text) if TEXT_FIELDS.contains(&field.as_str()) && !text.is_empty() && !text.contains('\n') => {
                    vector.with_text(&field, &text)
                }
                Ok(text) => vector.with(&field, text),
                Err(error) => vector.with(&field, error.into_bytes()),
            };
        }
        self.0.push((format!("{name}.txt"), vector.to_text()));
    }
}
