//! The page as a whole: well-formed, safe, complete, and without what it has no data for.

use super::sample_values::{PIXEL, plainly};
use super::*;
use crate::metric::detail::{Cell, Matrix, Series};
use crate::metric::operating_point::Rule;
use crate::metric::{Block, Confusion, Detail, Evaluation};
use crate::number;
use retune_data::Leak;

/// Checks that every opened tag is closed in order, and that attributes are quoted.
fn assert_well_formed(page: &str) {
    const VOID: [&str; 4] = ["meta", "img", "br", "hr"];
    let (before, rest) = page.split_once("<style>").expect("a style");
    let (_, after) = rest.split_once("</style>").expect("an end of the style");
    let page = format!("{before}{after}");
    let mut open: Vec<String> = Vec::new();
    let mut rest = page.as_str();
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "stray > before {}", &rest[start..].chars().take(60).collect::<String>());
        let end = rest[start..].find('>').expect("every tag ends") + start;
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if tag.starts_with('!') {
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closing {name}");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        if !tag.ends_with('/') && !VOID.contains(&name) {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

fn assert_ids_are_unique(page: &str) {
    let mut ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[test]
fn samples_are_well_formed_and_self_contained() {
    for (_, data) in sample::all(&plainly) {
        let page = render(&data);
        assert_well_formed(&page);
        assert_ids_are_unique(&page);
        for outside in ["http:", "https:", "//", "<script", "<link", "@import", "url(http", "NaN", "inf%"] {
            let found = page.find(outside).map(|at| page[at..].chars().take(60).collect::<String>());
            assert_eq!(found, None, "{outside}");
        }
        assert_eq!(page, render(&data), "rendering is a pure function");
    }
}

#[test]
fn every_section_is_there_when_it_has_data() {
    let page = render(&sample::classification(&plainly));
    for id in [
        "result",
        "curves",
        "metrics",
        "confusion-1",
        "per-class-2",
        "calibration-3",
        "errors",
        "data",
        "load",
        "recipe",
        "speed",
        "environment",
    ] {
        assert!(page.contains(&format!("<section id=\"{id}\"")), "{id}");
        assert!(page.contains(&format!("<a href=\"#{id}\"")), "{id}");
    }
    assert!(!page.contains("<section id=\"scatter"));
    assert!(render(&sample::regression(&plainly)).contains("<section id=\"scatter-1\""));
}

#[test]
fn sections_without_data_are_left_out() {
    let page = render(&ReportData::default());
    assert!(!page.contains("<section") && !page.contains("<nav") && !page.contains("<aside"));
    assert!(page.contains("<h1>Fine-tuning report</h1>"));

    let mut data = sample::classification(&plainly);
    data.steps.clear();
    data.evaluations.clear();
    data.recipe = " \n".into();
    data.test = None;
    data.validation = None;
    let page = render(&data);
    for id in ["curves", "recipe", "metrics", "per-class-2", "confusion-1", "calibration-3"] {
        assert!(!page.contains(&format!("id=\"{id}\"")), "{id}");
        assert!(!page.contains(&format!("#{id}\"")), "{id}");
    }
}

#[test]
fn the_numbers_are_on_the_page() {
    let data = sample::classification(&plainly);
    let page = render(&data);
    let test = data.test.as_ref().unwrap();
    for (key, value) in &test.metrics {
        assert!(page.contains(&number::value(*value)), "{key}");
    }
    for interval in test.intervals.values() {
        assert!(page.contains(&number::interval(*interval)));
    }
    for row in &test.read::<Confusion>("confusion").unwrap().counts {
        for count in row {
            assert!(page.contains(&format!("\">{}</td>", number::count(*count))));
        }
    }
    for text in [
        "12 March 2025",
        "reviews/test.csv:412",
        "p\u{a0}&lt;\u{a0}0.001",
        "The splits overlap",
        "23",
        "1.5\u{a0}%",
        "12\u{a0}min 14\u{a0}s",
        "62\u{a0}%",
        "the new head of this task",
        "seed = 17",
        "1 of 1260 steps",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn overlapping_groups_are_a_warning_even_without_common_rows() {
    let leak = |rows, groups| ReportData {
        splits: vec![SplitCard { name: "test".into(), rows: 40, ..SplitCard::default() }],
        leaks: vec![Leak { a: "train".into(), b: "test".into(), examples: rows, shown: Vec::new(), groups }],
        ..ReportData::default()
    };
    let groups = render(&leak(0, Some(3)));
    assert_well_formed(&groups);
    assert!(groups.contains("<li><b>3</b> test groups also occur in train</li>"));
    assert!(!groups.contains("rows also occur") && !groups.contains("No row occurs"));
    let both = render(&leak(2, Some(1)));
    assert!(both.contains("test rows also occur in train") && both.contains("test group also occurs in train"));
    for nothing in [None, Some(0)] {
        assert!(!render(&leak(0, nothing)).contains("The splits overlap"));
    }
}

#[test]
fn facts_are_shown_as_they_come() {
    let fact = |name: &str, value: &str, flagged| Fact { name: name.into(), value: value.into(), flagged };
    let facts = vec![fact("seconds", "3.5", false), fact("silent", "12 <of> 40", true)];
    let page =
        render(&ReportData { splits: vec![SplitCard { facts, ..SplitCard::default() }], ..ReportData::default() });
    assert!(page.contains("<dt>seconds</dt><dd>3.5</dd>"));
    assert!(page.contains("<dt>silent</dt><dd><span class=\"flag\">12 &lt;of&gt; 40</span></dd>"));
}

#[test]
fn a_chosen_threshold_is_told_and_marked_on_the_curve() {
    let data = sample::screening(&plainly, Rule::Specificity(0.9));
    let page = render(&data);
    for text in ["<section id=\"thresholds", "dot ring", "specificity:0.9, chosen on the validation split"] {
        assert!(page.contains(text), "{text}");
    }
    let details = &data.test.as_ref().unwrap().details;
    let Block::Table(table) = &details.last().unwrap().shown[1] else { panic!("a table") };
    assert_eq!(table.columns.len(), 2);
    assert_eq!(table.rows.len(), 3, "sensitivity, specificity, precision");
    let asked = render(&sample::screening(&plainly, Rule::Threshold(0.25)));
    assert!(
        asked.contains("from a probability of 0.25 on, as asked for") && !asked.contains("chosen on the validation")
    );
    assert!(!render(&sample::regression(&plainly)).contains("thresholds"));
}

#[test]
fn entities_and_answers_are_drawn_from_blocks_alone() {
    let page = render(&sample_blocks::entities(&plainly));
    for text in [
        "<mark class=\"hit\">Ada Lovelace<small>person</small></mark>",
        "<mark class=\"invented missed\">Charles<small>person invented</small></mark>",
        "<mark class=\"missed\"> Babbage<small>person missed</small></mark>",
        "place, said organisation mistaken",
        "predicted, but not gold",
        "<td class=\"cell none\"></td>",
        "Kinds of mistakes",
        "WORSE by",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let page = render(&sample_blocks::answers(&plainly));
    for text in ["F1, answerable", "with an answer", "When to give no answer", "line line-2"] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn outputs_stand_one_by_one() {
    let page = render(&sample::outputs(&plainly));
    for text in ["<section id=\"per-output-1\"", "width", "height"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!render(&sample::regression(&plainly)).contains("<section id=\"per-output"));
}

#[test]
fn examples_that_were_left_out_are_shown() {
    let split = SplitCard { name: "train".into(), rows: 9, ..SplitCard::default() };
    let left = LeftOut { split: "test".into(), count: 12, first: vec!["a<b>.png: is damaged".into()] };
    let page = render(&ReportData { splits: vec![split], left_out: vec![left], ..ReportData::default() });
    assert_well_formed(&page);
    assert!(page.contains("test: 12 examples cannot be used and were left out"));
    assert!(page.contains("a&lt;b&gt;.png: is damaged") && page.contains("bad_examples.jsonl"));
    let none = render(&ReportData { splits: vec![SplitCard::default()], ..ReportData::default() });
    assert!(!none.contains("left out"));
}

#[test]
fn many_classes_become_pairs() {
    let few = render(&sample::many_classes(&plainly, 20));
    assert!(few.contains("class=\"confusion dense\"") && !few.contains("taken for"));
    let many = render(&sample::many_classes(&plainly, 64));
    assert!(!many.contains("class=\"confusion") && many.contains("taken for"));
    assert!(many.contains("52 more classes"));
    assert!(many.contains("The 40 classes with the lowest F1 out of 64"));
}

#[test]
fn no_string_from_outside_can_act() {
    let poisons = [
        "<script>alert(1)</script>",
        "\" onmouseover=\"alert(1)\" x='",
        "</style></title></pre>--><img src=x onerror=alert(1)>",
        "nul\0 escape\x1b[2J bell\x07 bidi\u{202e}",
        "&lt;already&gt; &#60;b&#62;",
    ];
    for poison in poisons {
        for (name, data) in sample::all(&|_| poison.to_owned()) {
            let page = render(&data);
            assert_well_formed(&page);
            assert_ids_are_unique(&page);
            for bad in ["<script", "<img src=x", "\" onmouseover", "\0", "\x1b", "\x07", "\u{202e}", "<b>&"] {
                assert!(!page.contains(bad), "{name}: {bad:?} from {poison:?}");
            }
        }
    }
    let mut data = ReportData { title: "a <b> & 'c'".into(), ..ReportData::default() };
    assert!(render(&data).contains("<h1>a &lt;b&gt; &amp; &#39;c&#39;</h1>"));
    data.about_errors = Some("warm <places>".into());
    let error = |picture: &[u8]| WorstError { picture: Some(picture.to_vec()), ..WorstError::default() };
    data.errors = vec![error(PIXEL)];
    let page = render(&data);
    assert!(page.contains("<img src=\"data:image/png;base64,iVBORw0KGgo") && page.contains("warm &lt;places&gt;"));
    data.errors = vec![error(b"<svg onload=alert(1)>")];
    assert!(!render(&data).contains("<img"), "only PNG files are shown");
}

#[test]
fn broken_numbers_do_not_break_the_page() {
    let mut data = sample::classification(&plainly);
    for (index, point) in data.steps.iter_mut().enumerate() {
        point.loss = [Some(f64::NAN), Some(f64::INFINITY), None, Some(1e300)][index % 4];
        point.gradient_norm = Some(f64::NAN);
    }
    data.evaluations.truncate(1);
    let headline = data.headline.as_mut().unwrap();
    headline.value = f64::NAN;
    headline.interval = None;
    headline.baselines[0].interval = Some((f64::NEG_INFINITY, f64::INFINITY));
    data.splits[0].rows = 0;
    data.splits[0].lengths = Some(Histogram { unit: String::new(), edges: vec![1.0], counts: vec![4, 5] });
    let matrix = Matrix { names: vec!["a".into()], ..Matrix::default() };
    let mut test =
        Evaluation { details: vec![Detail::shown("m", "M", vec![Block::Matrix(matrix)])], ..Evaluation::default() };
    let mut broken = sample_blocks::blocks(&plainly).test.unwrap().details;
    for block in &mut broken[0].shown {
        if let Block::Plot(plot) = block {
            plot.series =
                vec![Series::Ring("r".into(), (f64::NAN, 1.0)), Series::Line("l".into(), vec![(1.0, f64::NAN)])];
        }
        if let Block::Table(table) = block {
            table.rows.push(vec![Cell::text("short"), Cell::Number(f64::INFINITY)]);
        }
    }
    test.details.extend(broken);
    data.test = Some(test);
    let page = render(&data);
    assert_well_formed(&page);
    assert!(!page.contains("NaN") && !page.contains(":inf"));
}

/// For looking at: `RETUNE_REPORT_FOLDER=/some/folder cargo test write_samples -- --ignored`.
#[test]
#[ignore = "writes pages for a person to look at"]
fn write_samples() {
    let folder = std::path::PathBuf::from(std::env::var_os("RETUNE_REPORT_FOLDER").expect("RETUNE_REPORT_FOLDER"));
    for (name, data) in sample::all(&plainly) {
        std::fs::write(folder.join(name).with_extension("html"), render(&data)).expect("the folder is writable");
    }
}
