//! `retrotap bench` measures everything that it promises to. How fast anything was is not asked.

use std::collections::BTreeMap;

use retrotap_tests::binary;
use serde_json::Value;

/// Part of a figure's name, and its unit.
const PROMISED: [(&str, &str); 27] = [
    ("krc2-decode, a cycle's share, native", "ns"),
    ("krc2-decode, a cycle's share, Wasmtime", "ns"),
    ("axis-limits, a cycle's share, native", "ns"),
    ("axis-limits, a cycle's share, Wasmtime", "ns"),
    ("arm-distance, a cycle's share, native", "ns"),
    ("arm-distance, a cycle's share, Wasmtime", "ns"),
    ("cycle of 7 frames, native", "ns"),
    ("cycle of 7 frames, Wasmtime", "ns"),
    ("cycle, Wasmtime to native", "times"),
    ("cycle, faster than the prototype's", "times"),
    ("first cycle, faster than the paper's", "times"),
    ("first 100 cycles, faster than the paper's", "times"),
    ("last byte in to record out, p50", "µs"),
    ("last byte in to record out, p99", "µs"),
    ("last byte in to MQTT subscriber, p50", "ms"),
    ("last byte in to MQTT subscriber, p99", "ms"),
    ("records through the spool alone", "1/s"),
    ("opening the spool after kill -9", "ms"),
    ("written to disk for each byte of JSON", "times"),
    ("start to first record, modules compiled before", "ms"),
    ("start to first record, nothing compiled", "ms"),
    ("machines per core at 115200 baud", "machines"),
    ("machines per core, threads of lines alone", "machines"),
    ("bytes or records lost under that load", "count"),
    ("bytes sent that were in frames", "%"),
    ("memory with 2 machines, resident", "MB"),
    ("memory with 2 machines, proportional", "MB"),
];

#[test]
fn every_promised_figure_is_there_with_its_unit_and_samples() {
    let ended = binary::run(&["bench", "--quick", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let report: Value = serde_json::from_str(&ended.out).expect("one JSON object");
    assert!(report["commit"].is_string(), "{report}");
    assert!(report["machine"]["model"].is_string(), "{report}");
    assert!(report["machine"]["cores"].as_u64() > Some(0), "{report}");
    assert_eq!(report["quick"], true);
    let figures: BTreeMap<&str, &Value> = report["figures"]
        .as_array()
        .expect("a list of figures")
        .iter()
        .map(|figure| (figure["name"].as_str().expect("a name"), figure))
        .collect();
    for (name, unit) in PROMISED {
        let figure = figures
            .get(name)
            .unwrap_or_else(|| panic!("no `{name}`: {report}"));
        assert_eq!(figure["unit"], unit, "{name}");
        assert!(figure["samples"].as_u64() > Some(0), "{name}: {figure}");
        // A machine may be so fast that no tick of the processor's clock was seen: then it is null.
        assert!(
            figure["value"].is_f64() || figure["value"].is_null(),
            "{name}: {figure}"
        );
    }
    assert_eq!(
        figures["cycle, Wasmtime to native"]["budget"]["at_most"],
        2.5
    );
    assert!(figures["cycle, Wasmtime to native"]["budget"]["met"].is_boolean());
}
