//! The form of a vector file.

use std::fmt::Write;

use handover_shared::ids::{hex, unhex};

/// One vector: a head, and fields in order.
pub struct Vector {
    pub head: String,
    fields: Vec<(String, Field)>,
}

enum Field {
    Bytes(Vec<u8>),
    Text(String),
}

impl Vector {
    pub fn new(head: &str, operation: &str, expect: &str) -> Self {
        Self { head: head.to_owned(), fields: Vec::new() }.with_text("operation", operation).with_text("expect", expect)
    }

    pub fn with(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.to_owned(), Field::Bytes(bytes.as_ref().to_vec())));
        self
    }

    pub fn with_text(mut self, name: &str, text: &str) -> Self {
        assert!(!text.contains('\n') && text.trim() == text);
        self.fields.push((name.to_owned(), Field::Text(text.to_owned())));
        self
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let (head, body) = text.split_once("\n\n").ok_or("no empty line")?;
        let mut vector = Self { head: head.to_owned(), fields: Vec::new() };
        for line in body.lines() {
            let (name, field) = if let Some((name, text)) = line.split_once(" = ") {
                (name, Field::Text(text.to_owned()))
            } else {
                let (name, text) = line.split_once(':').ok_or_else(|| format!("not a field: {line}"))?;
                (name, Field::Bytes(unhex(text.trim_start()).ok_or_else(|| format!("not hex: {name}"))?))
            };
            if vector.find(name).is_some() {
                return Err(format!("twice: {name}"));
            }
            vector.fields.push((name.to_owned(), field));
        }
        Ok(vector)
    }

    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n\n", self.head);
        for (name, field) in &self.fields {
            match field {
                Field::Bytes(bytes) => writeln!(text, "{name}: {}", hex(bytes)).unwrap(),
                Field::Text(value) => writeln!(text, "{name} = {value}").unwrap(),
            }
        }
        text
    }

    /// The bytes of a field; of a text, its UTF-8.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        match self.find(name) {
            Some(Field::Bytes(bytes)) => bytes.clone(),
            Some(Field::Text(text)) => text.as_bytes().to_vec(),
            None => panic!("field {name} is missing"),
        }
    }

    pub fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap_or_else(|_| panic!("field {name} has the wrong length"))
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    fn find(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, field)| field)
    }
}
