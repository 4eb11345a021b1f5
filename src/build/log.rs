//! Build logs: cleaned, capped, and read for the line that says what went wrong.
