//! Text for people: columns, times, numbers.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Rows whose columns line up, each row indented by two; the last column is as long as it is.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| rows.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::from("  ");
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a String does not fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Milliseconds since 1970, now.
pub(super) fn now_unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

/// `3 s`, `2 min`, `5 h`, `4 d`: how long ago, rounded down.
pub(super) fn ago(since_unix_ms: u64, now_unix_ms: u64) -> String {
    let s = now_unix_ms.saturating_sub(since_unix_ms) / 1000;
    match s {
        0..120 => format!("{s} s"),
        120..7200 => format!("{} min", s / 60),
        7200..172_800 => format!("{} h", s / 3600),
        _ => format!("{} d", s / 86_400),
    }
}

/// `2026-11-22 12:01:02Z` of seconds since 1970.
pub(super) fn date_time(unix_s: u64) -> String {
    let (days, s) = (unix_s / 86_400, unix_s % 86_400);
    // Days are counted from 1 March of year 0, so that a leap day ends its year
    // (proleptic Gregorian calendar; eras of 400 years).
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let m = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * m + 2) / 5 + 1;
    let month = if m < 10 { m + 3 } else { m - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z", s / 3600, s / 60 % 60, s % 60)
}

/// `12:01:02.123456` of microseconds since 1970.
pub(super) fn time_us(unix_us: u64) -> String {
    let s = unix_us / 1_000_000 % 86_400;
    format!("{:02}:{:02}:{:02}.{:06}", s / 3600, s / 60 % 60, s % 60, unix_us % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date_time(0), "1970-01-01 00:00:00Z");
        assert_eq!(date_time(951_782_399), "2000-02-28 23:59:59Z");
        assert_eq!(date_time(951_782_400), "2000-02-29 00:00:00Z");
        assert_eq!(date_time(1_795_348_862), "2026-11-22 12:01:02Z");
        assert_eq!(time_us(1_795_348_862_000_007), "12:01:02.000007");
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["1".to_owned(), "up".to_owned()], vec!["12".to_owned(), "a".to_owned()]];
        assert_eq!(columns(&rows), "  1   up\n  12  a\n");
    }

    #[test]
    fn ages_are_short() {
        let of = |s: u64| ago(0, s * 1000);
        assert_eq!([of(3), of(120), of(7300), of(200_000)], ["3 s", "2 min", "2 h", "2 d"]);
        assert_eq!(ago(5000, 0), "0 s", "a clock that went back");
    }
}
