//! Which modules of a model an adapter is saved with as a whole: PEFT's `modules_to_save`.

use retune_kernels::Params;

/// The heads that PEFT saves by itself, by `task_type`.
fn of_task(task_type: Option<&str>) -> &'static [&'static str] {
    match task_type {
        Some("SEQ_CLS" | "TOKEN_CLS") => &["classifier", "score"],
        Some("QUESTION_ANS") => &["qa_outputs"],
        _ => &[],
    }
}

/// Names of modules that hold what is the head's and nothing else: the outermost ones.
pub(super) fn modules_to_save(params: &Params, task_type: Option<&str>) -> Vec<String> {
    let mut modules: Vec<String> = of_task(task_type).iter().map(|&module| module.to_owned()).collect();
    let names = || params.iter().map(|param| (param.name.as_str(), param.head));
    let path_of = |parts: &[&str], count: usize| parts[..count].join(".");
    for (name, _) in names().filter(|(_, head)| *head) {
        let parts: Vec<&str> = name.split('.').collect();
        let is_in = |module: &String| {
            (1..parts.len()).map(|count| path_of(&parts, count)).any(|path| {
                path.strip_suffix(module.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
        };
        // A weight of the model itself is in no module; PEFT reads it all the same, by its name.
        if parts.len() == 1 || modules.iter().any(is_in) {
            continue;
        }
        let below = |name: &str, module: &str| name.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'));
        let own = |count: &usize| {
            let module = path_of(&parts, *count);
            names().all(|(name, head)| head || !below(name, &module))
        };
        let mut count = (1..parts.len()).find(own).unwrap_or(parts.len() - 1);
        // A list is no module that PEFT saves, but each of its members is.
        let mut last = 1;
        while count + 1 < parts.len() && parts[count].parse::<usize>().is_ok() {
            (count, last) = (count + 1, last + 1);
        }
        let (path, last) = (path_of(&parts, count), parts[count - last..count].join("."));
        // PEFT takes every module whose path ends so.
        let another = |name: &str| {
            let parts: Vec<&str> = name.split('.').collect();
            (1..parts.len()).any(|count| path_of(&parts, count).ends_with(&last)) && !below(name, &path)
        };
        let ambiguous = names().any(|(name, head)| !head && another(name));
        let module = if ambiguous { path } else { last };
        if !modules.contains(&module) {
            modules.push(module);
        }
    }
    modules
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_kernels::Param;
    use retune_kernels::tch::{Device, Kind, Tensor};

    fn modules(names: &[(&str, bool)], task_type: Option<&str>) -> Vec<String> {
        let mut params = Params::default();
        for &(name, head) in names {
            params.push(Param::new(
                name.to_owned(),
                0,
                head,
                Tensor::zeros([1], (Kind::Float, Device::Cpu)),
                Kind::Float,
            ));
        }
        modules_to_save(&params, task_type)
    }

    #[test]
    fn modules_hold_the_head_and_nothing_else() {
        let body = ("bert.encoder.layer.0.output.dense.weight", false);
        let bert = [body, ("bert.pooler.dense.weight", true), ("classifier.weight", true)];
        assert_eq!(modules(&bert, Some("SEQ_CLS")), ["classifier", "score", "pooler"]);
        let roberta = [body, ("classifier.dense.weight", true), ("classifier.out_proj.bias", true)];
        assert_eq!(modules(&roberta, Some("TOKEN_CLS")), ["classifier", "score"]);
        assert_eq!(modules(&[body, ("qa_outputs.weight", true)], Some("QUESTION_ANS")), ["qa_outputs"]);
        let distilbert = [body, ("pre_classifier.weight", true), ("classifier.weight", true)];
        assert_eq!(modules(&distilbert, Some("SEQ_CLS")), ["classifier", "score", "pre_classifier"]);
        let norms =
            [("vit.layer.0.layernorm.weight", false), ("vit.layernorm.weight", true), ("classifier.weight", true)];
        assert_eq!(modules(&norms, None), ["vit.layernorm", "classifier"]);
        let decoder = [body, ("decoder.decoder_embed.weight", true), ("decoder.layers.0.dense.weight", true)];
        assert_eq!(modules(&decoder, None), ["decoder"]);
        let alone = [body, ("layer_weights", true), ("projector.weight", true)];
        assert_eq!(modules(&alone, None), ["projector"]);
        let lists = [
            ("model.decoder.layers.0.fc1.weight", false),
            ("model.decoder.class_embed.0.weight", true),
            ("model.decoder.class_embed.1.weight", true),
            ("model.decoder.bbox_embed.0.layers.0.weight", true),
            ("model.decoder.bbox_embed.0.layers.1.weight", true),
        ];
        assert_eq!(modules(&lists, None), ["class_embed.0", "class_embed.1", "bbox_embed.0"]);
    }
}
