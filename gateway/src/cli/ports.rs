//! `retrotap ports`: which serial ports are there, and what to write into the settings.

use std::process::ExitCode;

use crate::port::list::{Found, list};

/// The serial ports of this machine: what they are, who uses them, and the name that stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  retrotap ports
  retrotap ports --json | jq -r '.[] | select(.used_by == []) | .port'")]
pub struct Args {
    /// Print a JSON array for programs.
    #[arg(long)]
    json: bool,
}

/// Runs the command. Finding none isn't a failure.
///
/// # Errors
///
/// Standard output can't be written.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    // Reads small files of the kernel's: nothing that would hold up the runtime.
    let found = list();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else if found.is_empty() {
        eprintln!("{NONE}");
    } else {
        for port in &found {
            print!("{}", describe(port));
        }
    }
    Ok(ExitCode::SUCCESS)
}

const NONE: &str = "\
There is no serial port.
  Plug the USB adapter in and look again; `sudo dmesg | tail` shows whether the kernel saw it.
  On a Raspberry Pi, `sudo raspi-config` under Interface Options switches the built-in port on.
  Without hardware: `retrotap simulate --adapter kuka-krc2 --port pty:/tmp/robot`";

/// A port in a few lines: first the name for the settings, then what is known.
fn describe(port: &Found) -> String {
    let mut text = format!("{}\n", port.port.display());
    let mut line = |what: &str, is: &str| text.push_str(&format!("  {what:<8} {is}\n"));
    if port.device != port.port {
        line("device", &port.device.display().to_string());
    }
    let adapter: Vec<&str> = [&port.vendor, &port.product, &port.usb_id]
        .into_iter()
        .filter_map(|text| text.as_deref())
        .collect();
    if !adapter.is_empty() {
        line("adapter", &adapter.join(", "));
    }
    if let Some(driver) = &port.driver {
        line("driver", driver);
    }
    if port.usb_id.is_some() && port.serial_number.is_none() {
        line(
            "note",
            "without a serial number: its name is that of the socket, leave it there",
        );
    }
    match port.used_by.as_slice() {
        [] if port.permitted => line("state", "free"),
        [] => line(
            "state",
            "not for this user: sudo usermod -aG dialout $USER, then log in again",
        ),
        users => line("state", &format!("in use by {}", users.join(" and "))),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        Found {
            port: "/dev/serial/by-id/usb-FTDI-port0".into(),
            device: "/dev/ttyUSB0".into(),
            driver: Some("ftdi_sio".into()),
            vendor: Some("FTDI".into()),
            product: Some("FT232R USB UART".into()),
            usb_id: Some("0403:6001".into()),
            serial_number: Some("A50285BI".into()),
            used_by: Vec::new(),
            permitted: true,
        }
    }

    #[test]
    fn the_name_for_the_settings_stands_first_and_the_state_last() {
        assert_eq!(
            describe(&found()),
            "/dev/serial/by-id/usb-FTDI-port0\n  device   /dev/ttyUSB0\n  \
             adapter  FTDI, FT232R USB UART, 0403:6001\n  driver   ftdi_sio\n  state    free\n"
        );
    }

    #[test]
    fn what_stands_in_the_way_is_said_with_what_to_do() {
        let denied = describe(&Found {
            permitted: false,
            ..found()
        });
        assert!(denied.contains("usermod -aG dialout"), "{denied}");
        let used = Found {
            used_by: vec!["minicom (process 7)".into()],
            ..found()
        };
        assert!(describe(&used).ends_with("in use by minicom (process 7)\n"));
        let nameless = describe(&Found {
            serial_number: None,
            ..found()
        });
        assert!(nameless.contains("leave it there"), "{nameless}");
    }
}
