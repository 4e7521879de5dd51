//! The data lake's programs: MQTT to Kafka to InfluxDB, and frames computed again.
