//! Tests of the report as a whole.

use super::*;

#[test]
#[ignore = "writes the sample for a look: SHOW=folder"]
fn show() {
    let folder = PathBuf::from("/tmp/w/report-show");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, report) in
        [("bad", sample::report()), ("quiet", sample::quiet()), ("first", sample::baseline())]
    {
        let rendered = render(&report, &sample::meta()).unwrap();
        std::fs::write(folder.join(format!("{name}.html")), &rendered.html).unwrap();
        std::fs::write(folder.join(format!("{name}.txt")), &rendered.text).unwrap();
        println!("{} ({} bytes)", rendered.subject, rendered.html.len());
        std::fs::write(
            folder.join(format!("{name}.page.html")),
            page(&report, &sample::meta()).unwrap(),
        )
        .unwrap();
        println!("{}", terminal(&report, 120, false));
    }
}
