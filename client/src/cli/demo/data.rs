//! A made-up customer dataset: what a shop or wholesaler has on its disk when it is sold. The same seed gives the same
//! bytes. Nobody in it exists.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::image;
use super::random::Random;

/// The name of the folder, which is also what the transfer is called.
pub(super) const FOLDER: &str = "客户资料 Customers";
/// What stands in a file and must be found nowhere at the relay.
pub(super) const PLANTED: [&str; 3] = ["张伟", "Müller GmbH", "customers.csv"];

const SEED: u64 = 0x6861_6e64_6f76_6572;
const BIRTH: Duration = Duration::from_nanos(1_760_000_000_123_456_789);
const SURNAMES: [&str; 10] = ["王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴"];
const GIVEN: [&str; 10] = ["伟", "芳", "娜", "敏", "静", "磊", "洋", "艳", "志强", "建国"];
const LATIN: [&str; 8] = [
    "Müller GmbH",
    "García e Hijos",
    "O'Brien Ltd",
    "Société Dupont",
    "Łukasz Nowak",
    "Smith & Sons",
    "Åse Berg",
    "Ivanova",
];
const CITIES: [&str; 8] = ["上海", "广州", "义乌", "Hamburg", "Zürich", "São Paulo", "Dubai دبي", "成都"];
const GOODS: [&str; 6] =
    ["冰箱 BCD-210", "洗衣机 XQB80", "Kettle 1.7 l", "Rice cooker 5 L", "空调 KFR-35", "Fan heater"];

/// Writes the dataset below a folder; gives its path. `files` counts all of them, `bytes` is reached by one big dump.
pub(super) fn write(below: &Path, files: u64, bytes: u64) -> io::Result<PathBuf> {
    let root = below.join(FOLDER);
    let mut set = Set { root: root.clone(), random: Random::new(SEED), bytes: 0, files: 0, age: 0 };
    for folder in ["", "orders", "合同 Contracts", "旧系统", "customers", "backup", "photos", "archive 2019 (empty)"]
    {
        fs::create_dir_all(root.join(folder))?;
    }
    set.tables()?;
    set.pictures()?;
    set.oddities()?;
    while set.files + 1 < files {
        set.customer_file()?;
    }
    set.dump(bytes.saturating_sub(set.bytes))?;
    Ok(root)
}

struct Set {
    root: PathBuf,
    random: Random,
    bytes: u64,
    files: u64,
    age: u32,
}

impl Set {
    fn put(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.root.join(name);
        fs::write(&path, content)?;
        self.bytes += content.len() as u64;
        self.files += 1;
        self.age_of(&path)
    }

    /// Gives a file a time of its own, to the nanosecond.
    fn age_of(&mut self, path: &Path) -> io::Result<()> {
        self.age += 1;
        let at = SystemTime::UNIX_EPOCH + BIRTH + Duration::from_nanos(86_400_000_000_037) * self.age;
        File::options().write(true).open(path)?.set_modified(at)
    }

    fn person(&mut self) -> String {
        if self.random.below(3) == 0 {
            self.random.one_of(&LATIN).to_owned()
        } else {
            format!("{}{}", self.random.one_of(&SURNAMES), self.random.one_of(&GIVEN))
        }
    }

    fn row(&mut self, id: u64) -> String {
        let (name, city) = (self.person(), self.random.one_of(&CITIES));
        let phone = 13_000_000_000 + self.random.below(1_000_000_000);
        format!("{id},\"{name}\",{city},{phone},kunde{id}@example.com,20{:02}-0{}-1{}\r\n", id % 26, id % 9 + 1, id % 9)
    }

    fn tables(&mut self) -> io::Result<()> {
        // As Excel writes it: a byte-order mark and Windows line ends.
        let mut csv = String::from("\u{feff}编号,姓名 Name,城市 City,电话,E-mail,开户日期\r\n");
        csv.push_str(
            "1,\"张伟\",上海,13800000000,zhang@example.com,2015-03-11\r\n2,\"Müller GmbH\",Hamburg,,,2016-05-12\r\n",
        );
        for id in 3..2_000 {
            csv.push_str(&self.row(id));
        }
        self.put("customers.csv", csv.as_bytes())?;
        for month in 1..=12 {
            let mut json = String::from("[\n");
            for order in 0..150 {
                let (who, what) = (self.person(), self.random.one_of(&GOODS));
                let cents = self.random.below(500_000);
                let end = if order == 149 { "" } else { "," };
                let price = format!("{}.{:02}", cents / 100, cents % 100);
                json.push_str(&format!(
                    "  {{\"order\": {order}, \"customer\": \"{who}\", \"item\": \"{what}\", \"total\": {price}}}{end}\n"
                ));
            }
            json.push_str("]\n");
            self.put(&format!("orders/2025-{month:02}.json"), json.as_bytes())?;
        }
        let old = gb18030(&mut self.random);
        self.put("旧系统/客户_GB18030.csv", &old)
    }

    fn pictures(&mut self) -> io::Result<()> {
        for (name, width, height) in [
            ("合同 Contracts/合同-0001.png", 420, 594),
            ("合同 Contracts/合同-0002.png", 420, 594),
            ("合同 Contracts/Vertrag Müller.png", 420, 594),
            ("photos/门店.png", 320, 240),
            ("photos/Café Zürich 😀.png", 320, 240),
        ] {
            let picture = image::page(&mut self.random, width, height);
            self.put(name, &picture)?;
        }
        Ok(())
    }

    /// What every real disk has as well.
    fn oddities(&mut self) -> io::Result<()> {
        self.put("empty.txt", b"")?;
        self.put(".notes", "给接手的同事: see orders/\n".as_bytes())?;
        self.put("customers/عميل دبي.txt", "مرحبا\n".as_bytes())?;
        self.put("import.sh", b"#!/bin/sh\nexec psql shop < backup/shop.sql\n")?;
        #[cfg(unix)]
        {
            let run = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o750);
            fs::set_permissions(self.root.join("import.sh"), run)?;
            std::os::unix::fs::symlink("orders/2025-12.json", self.root.join("latest.json"))?;
        }
        Ok(())
    }

    fn customer_file(&mut self) -> io::Result<()> {
        let (name, city) = (self.person(), self.random.one_of(&CITIES));
        let number = self.files;
        let safe = name.replace('/', "-");
        let text = format!("{{\n  \"id\": {number},\n  \"name\": \"{name}\",\n  \"city\": \"{city}\"\n}}\n");
        self.put(&format!("customers/{number:05} {safe}.json"), text.as_bytes())
    }

    /// The one big file: a dump of a database, as long as it takes to reach the size.
    fn dump(&mut self, bytes: u64) -> io::Result<()> {
        let path = self.root.join("backup/shop.sql");
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path)?);
        let mut left = bytes;
        let mut id = 0;
        while left > 0 {
            id += 1;
            let blob = format!("{:016x}{:016x}", self.random.next(), self.random.next());
            let line = format!("INSERT INTO orders VALUES ({id}, '{}', '{blob}');\n", self.person());
            let take = line.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            out.write_all(&line.as_bytes()[..take])?;
            left -= take as u64;
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        self.bytes += bytes;
        self.files += 1;
        self.age_of(&path)
    }
}

/// An export of an old program in GB18030, written byte by byte since nothing else here speaks it.
fn gb18030(random: &mut Random) -> Vec<u8> {
    // 客户,电话,地址
    let mut text = b"\xbf\xcd\xbb\xa7,\xb5\xe7\xbb\xb0,\xb5\xd8\xd6\xb7\r\n".to_vec();
    // 王 李 张 刘 陈; 上海 北京
    let names: [&[u8]; 5] = [b"\xcd\xf5", b"\xc0\xee", b"\xd5\xc5", b"\xc1\xf5", b"\xb3\xc2"];
    let cities: [&[u8]; 2] = [b"\xc9\xcf\xba\xa3", b"\xb1\xb1\xbe\xa9"];
    for _ in 0..800 {
        text.extend_from_slice(random.one_of(&names));
        text.extend_from_slice(format!(",021{:08},", random.below(100_000_000)).as_bytes());
        text.extend_from_slice(random.one_of(&cities));
        text.extend_from_slice(b"\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::compare::{Tree, tree};

    #[test]
    fn the_dataset_is_the_same_every_time_and_as_big_as_asked() {
        let scratch = tempfile::tempdir().unwrap();
        let (one, two) = (scratch.path().join("1"), scratch.path().join("2"));
        let first = write(&one, 60, 3_000_000).unwrap();
        let second = write(&two, 60, 3_000_000).unwrap();
        let (first, second): (Tree, Tree) = (tree(&first).unwrap(), tree(&second).unwrap());
        assert_eq!((first.files(), first.bytes()), (60, 3_000_000));
        let unlike = crate::cli::demo::compare::difference(&first, &second).unwrap();
        assert_eq!(unlike, None);
    }

    #[test]
    fn the_table_has_a_byte_order_mark_and_the_planted_names() {
        let scratch = tempfile::tempdir().unwrap();
        let root = write(scratch.path(), 30, 0).unwrap();
        let csv = fs::read_to_string(root.join("customers.csv")).unwrap();
        assert!(csv.starts_with('\u{feff}') && csv.contains(PLANTED[0]) && csv.contains(PLANTED[1]));
        let json = fs::read_to_string(root.join("orders/2025-01.json")).unwrap();
        let orders: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(orders.as_array().unwrap().len(), 150);
        assert!(String::from_utf8(fs::read(root.join("旧系统/客户_GB18030.csv")).unwrap()).is_err());
    }
}
