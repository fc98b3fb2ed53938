//! The code as a picture for a telephone's camera, in half-block characters.

use qrcode::{Color, EcLevel, QrCode};

/// White columns and rows around the picture, as the standard wants them.
const QUIET: usize = 2;

/// Draws a text as a QR code, dark on light whatever the terminal's colours; `None` if it is too long for one or wider
/// than `width`.
pub(crate) fn draw(text: &str, width: usize, indent: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let side = code.width();
    let full = side + 2 * QUIET;
    if full + indent.len() > width {
        return None;
    }
    let modules = code.to_colors();
    let is_light = |x: usize, y: usize| {
        let inside = (QUIET..QUIET + side).contains(&x) && (QUIET..QUIET + side).contains(&y);
        !inside || modules[(y - QUIET) * side + (x - QUIET)] == Color::Light
    };
    let mut picture = String::with_capacity(full * full * 2);
    for y in (0..full).step_by(2) {
        picture.push_str(indent);
        // White on black is written out, so that a light terminal shows the same picture as a dark one.
        picture.push_str("\x1b[97;40m");
        for x in 0..full {
            let below = y + 1 < full && is_light(x, y + 1);
            picture.push(match (is_light(x, y), below) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        picture.push_str("\x1b[0m\n");
    }
    Some(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "ho1qqqsyqcyq5rqwzqfpg9scrgwpugpzysnxg76n6@relay.shop.example";

    #[test]
    fn a_code_fits_a_usual_terminal() {
        let picture = draw(CODE, 60, "      ").unwrap();
        let rows: Vec<&str> = picture.lines().collect();
        let cells = |row: &str| row.chars().filter(|char| matches!(char, '█' | '▀' | '▄')).count();
        assert!(rows.len() < 24, "{} rows", rows.len());
        assert!(rows.iter().all(|row| row.starts_with("      \x1b[97;40m") && row.ends_with("\x1b[0m")));
        // The first row is the quiet zone, all light.
        assert_eq!(cells(rows[0]), rows[0].chars().filter(|char| *char == '█').count());
    }

    #[test]
    fn the_picture_shows_every_module() {
        let code = QrCode::with_error_correction_level(CODE, EcLevel::L).unwrap();
        let (modules, side) = (code.to_colors(), code.width());
        let picture = draw(CODE, 80, "").unwrap().replace("\x1b[97;40m", "").replace("\x1b[0m", "");
        let rows: Vec<Vec<char>> = picture.lines().map(|row| row.chars().collect()).collect();
        for y in 0..side {
            for x in 0..side {
                let char = rows[(y + QUIET) / 2][x + QUIET];
                let is_light = char == '█' || char == if (y + QUIET) % 2 == 0 { '▀' } else { '▄' };
                assert_eq!(is_light, modules[y * side + x] == Color::Light, "{x} {y}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_not_drawn() {
        assert!(draw(CODE, 30, "").is_none());
        assert!(draw(&"x".repeat(4000), 1000, "").is_none());
    }
}
