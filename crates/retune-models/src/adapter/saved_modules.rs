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
    for (name, _) in names().filter(|(_, head)| *head) {
        let parts: Vec<&str> = name.split('.').collect();
        if parts.iter().any(|part| modules.iter().any(|module| module == part)) {
            continue;
        }
        let below = |name: &str, module: &str| name.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'));
        let own = |module: &String| names().all(|(name, head)| head || !below(name, module));
        let path = (1..parts.len()).map(|count| parts[..count].join(".")).find(own);
        let path = path.unwrap_or_else(|| parts[..parts.len() - 1].join("."));
        // PEFT takes every module whose path ends so.
        let last = path.rsplit('.').next().unwrap_or(&path).to_owned();
        let another = |name: &str| {
            let module = name.rsplit_once('.').map_or(name, |(module, _)| module);
            module.split('.').any(|part| part.ends_with(&last)) && !below(name, &path)
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
    }
}
