//! Texts of statements, and what is none.

use super::super::common::World;
use super::super::file::Vector;
use super::Files;

pub fn statements(world: &World, files: &mut Files) {
    let seal = world.seal.to_text();
    let offer = world.offer.to_text();
    let whole = [
        ("offer", offer.clone()),
        ("seal", seal.clone()),
        ("claim", world.claim.to_text()),
        ("receipt", world.receipt.to_text()),
    ];
    for (kind, text) in whole {
        let vector = Vector::new(&format!("The {kind} statement has one text. [S10.1]"), "read-statement", "ok");
        files.add(&format!("statement-{kind}"), vector.with_text("kind", kind).with("text", text));
    }
    for (name, head, expect, text) in [refused_texts(&seal, &offer), refused_values(&seal)].concat() {
        let vector = Vector::new(&format!("{head} [S10.1] [S10.2]"), "read-statement", expect);
        files.add(&format!("statement-refuse-{name}"), vector.with_text("kind", "seal").with("text", text));
    }
    let text = offer.replacen("detached", "attended", 1);
    let vector = Vector::new("Only modes of this version are known. [S10.3]", "read-statement", "line 4: wrong value");
    files.add("statement-refuse-mode", vector.with_text("kind", "offer").with("text", text));
}

/// A vector's name, its head, the fault and the text.
type Case = (&'static str, &'static str, &'static str, String);

/// Texts that are no seal, whatever its values.
fn refused_texts(seal: &str, offer: &str) -> Vec<Case> {
    let last = seal.rfind(",\n").unwrap();
    let lines: Vec<&str> = seal.lines().collect();
    let files = |line: &str| seal.replacen("  \"files\": \"3\",\n", line, 1);
    vec![
        (
            "reordered",
            "Lines are in their fixed order.",
            "line 7: wrong key",
            seal.replacen(&[lines[6], "\n", lines[7]].concat(), &[lines[7], "\n", lines[6]].concat(), 1),
        ),
        (
            "duplicate-key",
            "Every key stands once.",
            "line 8: wrong key",
            files("  \"files\": \"3\",\n  \"files\": \"3\",\n"),
        ),
        ("missing-line", "No line is missing.", "line 14: missing line", format!("{}\n}}\n", &seal[..last])),
        (
            "extra-line",
            "Nothing follows the last line but the brace.",
            "line 15: line too many",
            seal.replacen("\n}\n", ",\n  \"note\": \"hello\"\n}\n", 1),
        ),
        ("empty-line", "There is no empty line.", "line 16: line too many", format!("{seal}\n")),
        ("second-object", "Nothing follows the closing brace.", "line 16: line too many", format!("{seal}{{}}\n")),
        ("crlf", "Lines end with a line feed alone.", "line 1: not printable ASCII", seal.replace('\n', "\r\n")),
        (
            "byte-order-mark",
            "No byte order mark precedes the text.",
            "line 1: not printable ASCII",
            format!("\u{feff}{seal}"),
        ),
        ("one-line", "Line feeds are part of the text.", "line 1: text ends too early", lines.concat()),
        ("indentation", "A line begins with two spaces.", "line 7: wrong key", files("    \"files\": \"3\",\n")),
        ("no-space", "A space follows the colon.", "line 7: wrong key", files("  \"files\":\"3\",\n")),
        ("two-spaces", "One space follows the colon.", "line 7: wrong value", files("  \"files\":  \"3\",\n")),
        ("missing-comma", "A comma follows the value.", "line 7: wrong end of line", files("  \"files\": \"3\"\n")),
        ("two-commas", "One comma follows the value.", "line 7: wrong end of line", files("  \"files\": \"3\",,\n")),
        (
            "trailing-comma",
            "No comma follows the last value.",
            "line 14: wrong end of line",
            seal.replacen("\n}\n", ",\n}\n", 1),
        ),
        ("unfinished", "The last line has its line feed.", "line 15: text ends too early", seal.trim_end().to_owned()),
        ("unclosed", "The brace is closed.", "line 15: text ends too early", seal.trim_end_matches("}\n").to_owned()),
        ("truncated", "The text was cut off within a value.", "line 5: text ends too early", seal[..200].to_owned()),
        (
            "other-version",
            "Another version is another statement.",
            "line 2: wrong kind of statement",
            seal.replacen("seal/v1", "seal/v2", 1),
        ),
        ("other-kind", "An offer is no seal.", "line 2: wrong kind of statement", offer.to_owned()),
        ("too-long", "A statement has 4096 bytes at most.", "line 1: statement too long", " ".repeat(4097)),
    ]
}

/// Seals with one value that is not the one form of it.
fn refused_values(seal: &str) -> Vec<Case> {
    let files = |value: &str| seal.replacen("\"files\": \"3\"", &format!("\"files\": {value}"), 1);
    vec![
        ("not-ascii", "Full-width digits are not ASCII.", "line 7: not printable ASCII", files("\"３\"")),
        ("leading-zero", "A number has no leading zero.", "line 7: wrong value", files("\"03\"")),
        ("bare-number", "A number stands in quotes.", "line 7: wrong value", files("3")),
        ("null", "Every key has a value.", "line 7: wrong value", files("null")),
        ("nested", "A value is a string, not an object.", "line 7: wrong value", files("{\"files\": \"3\"}")),
        ("escape", "No character is escaped.", "line 7: wrong value", files("\"\\u0033\"")),
        ("backslash", "No value holds a backslash.", "line 7: wrong value", files("\"3\\\"")),
        ("quote", "No value holds a quote.", "line 7: wrong end of line", files("\"3\"\"")),
        (
            "escaped-slash",
            "A slash is not escaped.",
            "line 2: wrong kind of statement",
            seal.replacen("seal/v1", "seal\\/v1", 1),
        ),
        (
            "upper-case-hex",
            "Hex is in lower case.",
            "line 3: wrong value",
            seal.replacen("\"transfer\": \"a0", "\"transfer\": \"A0", 1),
        ),
        (
            "time-zone",
            "Times are in UTC, written with Z.",
            "line 14: wrong value",
            seal.replacen("Z\"\n", "+00:00\"\n", 1),
        ),
        ("time-fraction", "Times have whole seconds.", "line 14: wrong value", seal.replacen("Z\"\n", ".0Z\"\n", 1)),
        ("no-such-day", "A date exists.", "line 14: wrong value", seal.replacen("2026-11-22", "2026-11-31", 1)),
    ]
}
