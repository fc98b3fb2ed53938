//! A disk whose power can be cut: a file system on a loop device. What a program has written and not synced is in the
//! memory of the system alone; a cut takes the disk as it is and leaves the rest behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{programs, wait};

/// A mounted disk; unmounted when dropped.
pub struct Disk {
    at: PathBuf,
    image: PathBuf,
    device: String,
    cuts: u32,
}

impl Disk {
    /// Makes a disk of so many MiB and mounts it at a folder, which is made. `None`, and said so, where this may not be
    /// done.
    pub fn mount(at: &Path, mebibytes: u64) -> Option<Self> {
        if programs::on_path("mkfs.ext4").is_none() || programs::on_path("losetup").is_none() {
            eprintln!("skipped: there is no mkfs.ext4 or no losetup here");
            return None;
        }
        fs::create_dir_all(at).expect("a folder can be made");
        let image = at.with_extension("image");
        let file = fs::File::create(&image).expect("an image can be made");
        file.set_len(mebibytes << 20).expect("an image can have its length");
        run("mkfs.ext4", &["-q".as_ref(), image.as_os_str()]).expect("a file system can be made in a file");
        match attach(&image, at) {
            Ok(device) => {
                // An empty folder that is nobody's.
                fs::remove_dir(at.join("lost+found")).expect("a new file system has it");
                run("sync", &["-f".as_ref(), at.as_os_str()]).expect("a file system can be synced");
                Some(Self { at: at.into(), image, device, cuts: 0 })
            }
            Err(why) => {
                eprintln!("skipped: no loop device can be mounted here: {why}");
                None
            }
        }
    }

    /// Takes the disk as it is at this moment, for [`Disk::cut`]. Whoever writes there should stand still.
    pub fn keep(&self) -> PathBuf {
        let kept = self.image.with_extension(format!("cut{}", self.cuts));
        // The system may write on its own; then it is taken again.
        wait::until("a moment without writing", wait::USUAL, || {
            let before = self.written();
            fs::copy(&self.image, &kept).expect("an image can be copied");
            (self.written() == before).then_some(())
        });
        kept
    }

    /// Puts what was kept in the place of what is mounted: the power is back. Nobody may use the disk.
    ///
    /// # Panics
    /// When somebody does.
    pub fn cut(&mut self, kept: PathBuf) {
        self.detach();
        fs::remove_file(&self.image).expect("an image can be removed");
        self.image = kept;
        self.device = attach(&self.image, &self.at).expect("what a cut left can be mounted");
        self.cuts += 1;
    }

    /// Writes that the device has had, and those under way.
    fn written(&self) -> (String, String) {
        let name = self.device.rsplit('/').next().expect("a device has a name");
        let stat = fs::read_to_string(format!("/sys/block/{name}/stat")).expect("a device has counters");
        let mut fields = stat.split_whitespace().skip(4).map(str::to_owned);
        let writes = fields.next().expect("the fifth counts writes");
        (writes, fields.nth(3).expect("the ninth counts what is under way"))
    }

    fn detach(&self) {
        wait::until("the disk to be free", wait::USUAL, || run("umount", &[self.at.as_os_str()]).is_ok().then_some(()));
        run("losetup", &["--detach".as_ref(), self.device.as_ref()]).expect("a device can be given back");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for (program, arguments) in [
            ("umount", ["--lazy".as_ref(), self.at.as_os_str()]),
            ("losetup", ["--detach".as_ref(), self.device.as_ref()]),
        ] {
            if let Err(why) = run(program, &arguments) {
                eprintln!("could not give a disk back: {why}");
            }
        }
    }
}

fn attach(image: &Path, at: &Path) -> Result<String, String> {
    let device = run("losetup", &["--find".as_ref(), "--show".as_ref(), image.as_os_str()])?.trim().to_owned();
    // The system writes what is old once in a while; here only what a program syncs is written soon.
    let mounted = run("mount", &["-o".as_ref(), "commit=300".as_ref(), device.as_ref(), at.as_os_str()]);
    match mounted {
        Ok(_) => Ok(device),
        Err(why) => {
            run("losetup", &["--detach".as_ref(), device.as_ref()])?;
            Err(why)
        }
    }
}

fn run(program: &str, arguments: &[&std::ffi::OsStr]) -> Result<String, String> {
    let path = programs::on_path(program).ok_or_else(|| format!("there is no {program}"))?;
    let output = Command::new(path).args(arguments).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(format!("{program}: {}", text(&output.stderr))) }
}
