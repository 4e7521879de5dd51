//! Which serial ports this machine has, and who uses them.
//!
//! All of it is read from `/sys`, `/dev/serial` and `/proc`: opening a port to ask it would raise
//! DTR, and some machines restart on that.
//!
//! Doesn't do: list what the kernel only reserves numbers for. A PC has `ttyS0` to `ttyS31` without
//! one of them being there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use serde::Serialize;

/// A serial port that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The name to put into the settings: one that stays when the device gets another number, as
    /// far as there is one.
    pub port: PathBuf,
    /// The kernel's name, such as `/dev/ttyUSB0`.
    pub device: PathBuf,
    /// The kernel's driver, such as `ftdi_sio`.
    pub driver: Option<String>,
    /// Who made the USB adapter, in its own words.
    pub vendor: Option<String>,
    /// What the USB adapter is called, in its own words.
    pub product: Option<String>,
    /// The USB adapter's vendor and product number, such as `0403:6001`.
    pub usb_id: Option<String>,
    /// The USB adapter's serial number. Without one, two of a kind can only be told apart by the
    /// socket they are in.
    pub serial_number: Option<String>,
    /// The programs that have it open, as far as this user may see them.
    pub used_by: Vec<String>,
    /// Whether this user may open it.
    pub permitted: bool,
}

/// All serial ports of this machine, in the order of their devices.
pub fn list() -> Vec<Found> {
    list_in(Path::new("/"))
}

/// The programs that have a device open, as `name (process 123)`, as far as this user may see them.
/// This process isn't among them.
pub fn users_of(device: &Path) -> Vec<String> {
    fs::canonicalize(device)
        .map(|device| {
            users(Path::new("/"), &device)
                .remove(&device)
                .unwrap_or_default()
        })
        .unwrap_or_default()
}

/// The same for a tree of files that looks like the root.
fn list_in(root: &Path) -> Vec<Found> {
    let by_id = links(&root.join("dev/serial/by-id"));
    let by_path = links(&root.join("dev/serial/by-path"));
    let Ok(entries) = fs::read_dir(root.join("sys/class/tty")) else {
        return Vec::new();
    };
    let mut users = users(root, &root.join("dev"));
    let mut found: Vec<Found> = entries
        .flatten()
        .filter(|entry| is_there(&entry.path()))
        .map(|entry| {
            let device = root.join("dev").join(entry.file_name());
            let usb = usb_device(&entry.path());
            let said = |name: &str| usb.as_deref().and_then(|usb| attribute(&usb.join(name)));
            let serial_number = said("serial");
            // Without a serial number two of a kind share a name in by-id.
            let id = by_id.get(&device).filter(|_| serial_number.is_some());
            let port = id
                .or_else(|| by_path.get(&device))
                .unwrap_or(&device)
                .clone();
            Found {
                port,
                driver: fs::canonicalize(entry.path().join("device/driver"))
                    .ok()
                    .and_then(|driver| Some(driver.file_name()?.to_string_lossy().into_owned())),
                vendor: said("manufacturer"),
                product: said("product"),
                usb_id: said("idVendor")
                    .zip(said("idProduct"))
                    .map(|(vendor, product)| format!("{vendor}:{product}")),
                serial_number,
                used_by: users.remove(&device).unwrap_or_default(),
                permitted: rustix::fs::access(&device, Access::READ_OK | Access::WRITE_OK).is_ok(),
                device,
            }
        })
        .collect();
    found.sort_by_key(|port| natural(&port.device));
    found
}

/// Whether there is hardware behind a terminal: consoles and pseudo-terminals have no `device`, and
/// a UART that isn't there has the type 0, PORT_UNKNOWN.
fn is_there(terminal: &Path) -> bool {
    terminal.join("device").exists()
        && attribute(&terminal.join("type")).is_none_or(|kind| kind != "0")
}

/// The folder of the USB device that a terminal belongs to, if any, some levels above it.
fn usb_device(terminal: &Path) -> Option<PathBuf> {
    let interface = fs::canonicalize(terminal.join("device")).ok()?;
    let usb = interface
        .ancestors()
        .take(6)
        .find(|folder| folder.join("idVendor").is_file());
    usb.map(Path::to_owned)
}

fn attribute(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// What the links of a folder point to, and the links.
fn links(folder: &Path) -> BTreeMap<PathBuf, PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|link| Some((fs::canonicalize(link.path()).ok()?, link.path())))
        .collect()
}

/// Who has the files open that are `within` or are below it.
fn users(root: &Path, within: &Path) -> BTreeMap<PathBuf, Vec<String>> {
    let mut users: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for process in fs::read_dir(root.join("proc"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = process.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if id == std::process::id() {
            continue;
        }
        let mut open: Vec<PathBuf> = fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
            .filter(|target| target.starts_with(within))
            .collect();
        open.sort();
        open.dedup();
        if open.is_empty() {
            continue;
        }
        let program = attribute(&process.path().join("comm")).unwrap_or_else(|| "?".to_owned());
        for target in open {
            users
                .entry(target)
                .or_default()
                .push(format!("{program} (process {id})"));
        }
    }
    users
}

/// Sorts `ttyS10` behind `ttyS9`.
fn natural(device: &Path) -> (String, u32) {
    let text = device.to_string_lossy();
    let name = text.trim_end_matches(|letter: char| letter.is_ascii_digit());
    (name.to_owned(), text[name.len()..].parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn file(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(root: &Path, path: &str, target: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(root.join(target), path).unwrap();
    }

    /// A machine with an FTDI adapter with a serial number, a CH340 without, a UART, an UART that
    /// isn't there, a console, and a program that has the FTDI open.
    fn machine() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        file(root, "sys/bus/ftdi_sio/x", "");
        for (number, name, serial) in [(0, "FT232R USB UART", Some("A50285BI")), (1, "CH340", None)]
        {
            let usb = format!("sys/devices/usb1/1-{number}");
            file(root, &format!("{usb}/idVendor"), "0403\n");
            file(root, &format!("{usb}/idProduct"), "6001\n");
            file(root, &format!("{usb}/manufacturer"), "FTDI\n");
            file(root, &format!("{usb}/product"), name);
            if let Some(serial) = serial {
                file(root, &format!("{usb}/serial"), serial);
            }
            let interface = format!("{usb}/1-{number}:1.0/ttyUSB{number}");
            file(root, &format!("{interface}/x"), "");
            link(root, &format!("{interface}/driver"), "sys/bus/ftdi_sio");
            link(
                root,
                &format!("sys/class/tty/ttyUSB{number}/device"),
                &interface,
            );
            let device = format!("dev/ttyUSB{number}");
            file(root, &device, "");
            link(root, &format!("dev/serial/by-id/usb-{number}"), &device);
            link(root, &format!("dev/serial/by-path/pci-{number}"), &device);
        }
        file(root, "sys/devices/serial8250/x", "");
        for (name, kind) in [("ttyS10", "4\n"), ("ttyS9", "4\n"), ("ttyS1", "0\n")] {
            file(root, &format!("sys/class/tty/{name}/type"), kind);
            link(
                root,
                &format!("sys/class/tty/{name}/device"),
                "sys/devices/serial8250",
            );
            file(root, &format!("dev/{name}"), "");
        }
        file(root, "sys/class/tty/tty0/x", "");
        file(root, "proc/4294967/comm", "minicom\n");
        link(root, "proc/4294967/fd/3", "dev/ttyUSB0");
        link(root, "proc/4294967/fd/4", "dev/ttyUSB0");
        file(root, "proc/meminfo", "");
        folder
    }

    #[test]
    fn what_is_there_is_listed_and_what_is_only_reserved_is_not() {
        let machine = machine();
        let names: Vec<String> = list_in(machine.path())
            .iter()
            .map(|found| {
                found
                    .device
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        assert_eq!(names, ["ttyS9", "ttyS10", "ttyUSB0", "ttyUSB1"]);
    }

    #[test]
    fn an_adapter_is_described_and_whoever_uses_it_is_named() {
        let machine = machine();
        let found = list_in(machine.path());
        let ftdi = &found[2];
        assert_eq!(ftdi.driver.as_deref(), Some("ftdi_sio"));
        assert_eq!(ftdi.vendor.as_deref(), Some("FTDI"));
        assert_eq!(ftdi.product.as_deref(), Some("FT232R USB UART"));
        assert_eq!(ftdi.usb_id.as_deref(), Some("0403:6001"));
        assert_eq!(ftdi.serial_number.as_deref(), Some("A50285BI"));
        assert_eq!(ftdi.used_by, ["minicom (process 4294967)"]);
        assert!(ftdi.permitted);
        assert_eq!(found[3].used_by, [""; 0]);
    }

    #[test]
    fn the_name_for_the_settings_outlives_another_number() {
        let machine = machine();
        let found = list_in(machine.path());
        let within = |path: &str| machine.path().join(path);
        assert_eq!(found[2].port, within("dev/serial/by-id/usb-0"));
        assert_eq!(
            found[3].port,
            within("dev/serial/by-path/pci-1"),
            "no serial number"
        );
        assert_eq!(found[0].port, within("dev/ttyS9"));
    }

    #[test]
    fn a_machine_without_any_of_these_folders_has_no_ports() {
        let empty = tempfile::tempdir().unwrap();
        assert!(list_in(empty.path()).is_empty());
    }
}
