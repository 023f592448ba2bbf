//! The page as a whole: well-formed, safe, complete, and without what it has no data for.

use super::*;
use crate::metric::Evaluation;

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
    let samples = [
        sample::classification(),
        sample::regression(),
        sample::screening(),
        sample::outputs(),
        sample::many_classes(9),
        sample::many_classes(64),
        ReportData::default(),
    ];
    for data in samples {
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
    let page = render(&sample::classification());
    for id in [
        "result",
        "curves",
        "metrics",
        "classes",
        "confusion",
        "calibration",
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
    assert!(!page.contains("<section id=\"scatter\""));
    assert!(render(&sample::regression()).contains("<section id=\"scatter\""));
}

#[test]
fn sections_without_data_are_left_out() {
    let page = render(&ReportData::default());
    assert!(!page.contains("<section") && !page.contains("<nav") && !page.contains("<aside"));
    assert!(page.contains("<h1>Fine-tuning report</h1>"));

    let mut data = sample::classification();
    data.steps.clear();
    data.evaluations.clear();
    data.recipe = " \n".into();
    data.test = None;
    data.validation = None;
    let page = render(&data);
    for id in ["curves", "recipe", "metrics", "classes", "confusion", "calibration"] {
        assert!(!page.contains(&format!("id=\"{id}\"")), "{id}");
        assert!(!page.contains(&format!("#{id}\"")), "{id}");
    }
}

#[test]
fn the_numbers_are_on_the_page() {
    let data = sample::classification();
    let page = render(&data);
    let test = data.test.as_ref().unwrap();
    for (key, value) in &test.metrics {
        assert!(page.contains(&number::value(*value)), "{key}");
    }
    for interval in test.intervals.values() {
        assert!(page.contains(&number::interval(*interval)));
    }
    for row in &test.confusion.as_ref().unwrap().counts {
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
        "1.5\u{202f}%",
        "12\u{202f}min 14\u{202f}s",
        "62\u{202f}%",
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
        splits: vec![SplitFacts { name: "test".into(), rows: 40, ..SplitFacts::default() }],
        leaks: vec![Leak { held_out: "test".into(), seen_in: "train".into(), rows, of: 40, groups }],
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
fn facts_that_do_not_apply_are_left_out() {
    let card = |truncated, unknown_tokens| {
        let split = SplitFacts { name: "train".into(), rows: 9, truncated, unknown_tokens, ..SplitFacts::default() };
        render(&ReportData { splits: vec![split], ..ReportData::default() })
    };
    let images = card(None, None);
    assert!(!images.contains("truncated") && !images.contains("unknown tokens"));
    let texts = card(Some(0), Some(0.0));
    assert!(texts.contains("truncated") && texts.contains("unknown tokens"));
}

#[test]
fn a_chosen_threshold_is_told_and_marked_on_the_curve() {
    let data = sample::screening();
    let page = render(&data);
    let point = data.operating_point.as_ref().unwrap();
    for text in ["<section id=\"thresholds\"", "dot ring", "specificity:0.9", &number::value(point.threshold)] {
        assert!(page.contains(text), "{text}");
    }
    for (split, found) in &point.splits {
        for (name, value, interval) in found.rows() {
            assert!(
                page.contains(&number::value(value)) && page.contains(&number::interval(interval)),
                "{split} {name}"
            );
        }
    }
    let mut asked = data.clone();
    asked.operating_point.as_mut().unwrap().chosen = false;
    assert!(page.contains("chosen on the validation split") && !render(&asked).contains("chosen on the validation"));
    let plain = render(&ReportData { operating_point: None, ..data });
    assert!(plain.contains("aria-label=\"Sensitivity against") && !plain.contains("dot ring"));
    assert!(!render(&sample::regression()).contains("thresholds"));
}

#[test]
fn outputs_stand_one_by_one() {
    let page = render(&sample::outputs());
    for text in ["<section id=\"outputs\"", "width", "height"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!render(&sample::regression()).contains("<section id=\"outputs\""));
}

#[test]
fn groups_and_examples_that_were_left_out_are_shown() {
    let split = SplitFacts { name: "train".into(), rows: 9, groups: Some(4), ..SplitFacts::default() };
    let left = LeftOut { split: "test".into(), count: 12, first: vec!["a<b>.png: is damaged".into()] };
    let page = render(&ReportData { splits: vec![split], left_out: vec![left], ..ReportData::default() });
    assert_well_formed(&page);
    assert!(page.contains("groups"), "{page}");
    assert!(page.contains("test: 12 examples cannot be used and were left out"));
    assert!(page.contains("a&lt;b&gt;.png: is damaged") && page.contains("bad_examples.jsonl"));
    let none = render(&ReportData { splits: vec![SplitFacts::default()], ..ReportData::default() });
    assert!(!none.contains("groups") && !none.contains("left out"));
}

#[test]
fn many_classes_become_pairs() {
    let few = render(&sample::many_classes(20));
    assert!(few.contains("class=\"confusion dense\"") && !few.contains("taken for"));
    let many = render(&sample::many_classes(64));
    assert!(!many.contains("class=\"confusion") && many.contains("taken for"));
    assert!(many.contains("52 more classes"));
    assert!(many.contains("the 40 classes with the lowest F1 out of 64"));
}

/// Puts `poison` into every string of a JSON value.
fn poisoned(value: &mut serde_json::Value, poison: &str) {
    match value {
        serde_json::Value::String(text) => *text = poison.to_owned(),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| poisoned(item, poison)),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(|field| poisoned(field, poison)),
        _ => {}
    }
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
    for data in [
        sample::classification(),
        sample::regression(),
        sample::screening(),
        sample::outputs(),
        sample::many_classes(64),
    ] {
        for poison in poisons {
            let mut value = serde_json::to_value(&data).unwrap();
            poisoned(&mut value, poison);
            value["errors"] = serde_json::json!([{ "text": poison, "thumbnail": poison, "place": poison }]);
            let data: ReportData = serde_json::from_value(value).unwrap();
            let page = render(&data);
            assert_well_formed(&page);
            for bad in ["<script", "<img", "\" onmouseover", "\0", "\x1b", "\x07", "\u{202e}", "<b>&"] {
                assert!(!page.contains(bad), "{bad:?} from {poison:?}");
            }
        }
    }
    let mut data = ReportData { title: "a <b> & 'c'".into(), ..ReportData::default() };
    assert!(render(&data).contains("<h1>a &lt;b&gt; &amp; &#39;c&#39;</h1>"));
    data.heat_maps = Some("warm <places>".into());
    data.errors = vec![WorstError { thumbnail: Some("data:image/png;base64,AAAA".into()), ..WorstError::default() }];
    assert!(render(&data).contains("<img src=\"data:image/png;base64,AAAA\" alt=\"\">"));
    assert!(render(&data).contains("warm &lt;places&gt;"));
}

#[test]
fn broken_numbers_do_not_break_the_page() {
    let mut data = sample::classification();
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
    data.test = Some(Evaluation {
        confusion: Some(crate::metric::Confusion { names: vec!["a".into()], counts: vec![] }),
        scatter: vec![(f32::NAN, 1.0)],
        ..Evaluation::default()
    });
    let page = render(&data);
    assert_well_formed(&page);
    assert!(!page.contains("NaN") && !page.contains(":inf"));
}

#[test]
fn data_survives_json_and_missing_fields() {
    let data = sample::classification();
    let text = serde_json::to_string(&data).unwrap();
    assert_eq!(serde_json::from_str::<ReportData>(&text).unwrap(), data);
    let sparse: ReportData = serde_json::from_str(r#"{"title": "t", "speed": {"seconds": 2}}"#).unwrap();
    assert_eq!(sparse.speed.unwrap().seconds, Some(2.0));
}

/// For looking at: `RETUNE_REPORT_FOLDER=/some/folder cargo test write_samples -- --ignored`.
#[test]
#[ignore = "writes pages for a person to look at"]
fn write_samples() {
    let folder = std::path::PathBuf::from(std::env::var_os("RETUNE_REPORT_FOLDER").expect("RETUNE_REPORT_FOLDER"));
    for (name, data) in [
        ("classification", sample::classification()),
        ("regression", sample::regression()),
        ("screening", sample::screening()),
        ("outputs", sample::outputs()),
        ("nine", sample::many_classes(9)),
        ("many", sample::many_classes(64)),
    ] {
        std::fs::write(folder.join(name).with_extension("html"), render(&data)).expect("the folder is writable");
    }
}
