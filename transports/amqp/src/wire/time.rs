//! Times in the form of RFC 3339.

use std::time::{Duration, SystemTime};

/// Seconds until the end of the year 9999, which is where RFC 3339 ends.
const END: Duration = Duration::from_secs(253_402_300_799);

/// The time as a text, unless it is outside of the years 1970 to 9999.
pub(super) fn write(time: SystemTime) -> Option<String> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    (since <= END).then(|| humantime::format_rfc3339_nanos(time).to_string())
}

/// The time of a text, with `Z` or an offset such as `+02:00`.
pub(super) fn read(text: &str) -> Option<SystemTime> {
    if let Ok(time) = humantime::parse_rfc3339(text) {
        return Some(time);
    }
    let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
    let time = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let seconds = hours.parse::<u64>().ok()? * 3600 + minutes.parse::<u64>().ok()? * 60;
    match offset.as_bytes().first()? {
        b'+' => time.checked_sub(Duration::from_secs(seconds)),
        b'-' => time.checked_add(Duration::from_secs(seconds)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_to_the_nanosecond() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        assert_eq!(read(&write(time).unwrap()), Some(time));
    }

    #[test]
    fn offsets_are_understood() {
        let utc = read("2026-01-02T03:04:05Z");
        assert_eq!(read("2026-01-02T05:04:05+02:00"), utc);
        assert_eq!(read("2026-01-01T21:34:05-05:30"), utc);
    }

    #[test]
    fn nonsense_is_no_time() {
        for text in ["", "é", "soon", "2026-01-02", "2026-01-02T03:04:05+0é:0"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(write(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), None);
        assert_eq!(write(SystemTime::UNIX_EPOCH + END + Duration::from_secs(2)), None);
    }
}
