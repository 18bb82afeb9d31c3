"""The words of a model card, English and Chinese side by side."""

from __future__ import annotations

_WORDS: dict[str, tuple[str, str]] = {
    "task": ("Task", "任务"),
    "state": ("State", "状态"),
    "languages": ("Languages", "语言"),
    "labels": ("Labels", "标签"),
    "pooling": ("Vectors", "向量"),
    "assumed": ("assumed: the folder did not say", "为假定：文件夹未说明"),
    "created": ("Created", "创建时间"),
    "published": ("Published", "发布时间"),
    "aliases": ("Aliases", "别名"),
    "artifact": ("Artifact", "制品"),
    "notes": ("Notes", "备注"),
    "no_notes": (
        "_No notes yet. `hanlin model notes {name} TEXT` or `PUT /api/v1/models/{name}/notes` writes this section._",
        "_尚无备注。用 `hanlin model notes {name} TEXT` 或 `PUT /api/v1/models/{name}/notes` 填写本节。_",
    ),
    "data": ("Data", "数据"),
    "dataset": ("Dataset", "数据集"),
    "digest": ("Digest (SHA-256)", "摘要（SHA-256）"),
    "split": ("Split", "划分"),
    "split_train": ("train", "训练"),
    "split_validation": ("validation", "验证"),
    "split_test": ("test", "测试"),
    "rows": ("Rows", "行数"),
    "no_data": ("No training data is recorded.", "没有训练数据的记录。"),
    "training": ("Training", "训练"),
    "setting": ("Setting", "设置"),
    "value": ("Value", "值"),
    "no_training": ("This version was not trained here.", "该版本并非在此训练。"),
    "metrics": ("Evaluation on test rows", "测试集评估"),
    "metric": ("Metric", "指标"),
    "interval": ("95 % interval", "95 % 置信区间"),
    "label": ("Label", "标签"),
    "precision": ("Precision", "精确率"),
    "recall": ("Recall", "召回率"),
    "f1": ("F1", "F1"),
    "support": ("Gold rows", "样本数"),
    "warning": ("Warning", "注意"),
    "no_metrics": ("No evaluation is recorded.", "没有评估记录。"),
    "variants": ("Variants", "变体"),
    "variant": ("Variant", "变体"),
    "chosen": ("chosen", "已选"),
    "test": ("Test metric", "测试指标"),
    "drop": ("Drop on validation rows (points)", "验证集下降（百分点）"),
    "perplexity": ("Perplexity", "困惑度"),
    "divergence": ("Mean KL (nats)", "平均 KL（奈特）"),
    "greedy": ("Same likeliest token", "最可能 token 相同"),
    "task_figure": ("Task's figure", "任务指标"),
    "task_drop": ("Task's points lost", "任务损失（百分点）"),
    "latency": ("Latency p50 / p99 (ms)", "延迟 p50 / p99（毫秒）"),
    "throughput": ("Rows a second", "每秒行数"),
    "size": ("Size (MB)", "大小（MB）"),
    "memory": ("Memory (MB)", "内存（MB）"),
    "certificate": ("Certificate", "证书"),
    "no_certificate": ("None yet.", "尚无。"),
    "passed": ("passed", "通过"),
    "failed": ("failed", "未通过"),
    "replayed": ("rows replayed through the service:", "经服务回放的行数："),
    "agreement": ("label agreement", "标签一致率"),
    "difference": ("largest score difference", "最大分数差"),
    "mean_difference": ("mean score difference", "平均分数差"),
    "likelihood": ("perplexity (trained model's)", "困惑度（原模型）"),
    "foreseen": ("accuracy (trained model's)", "准确率（原模型）"),
    "agreement_only": ("compared with its own fp32 form only, without held-out rows", "仅与自身 fp32 形式比较，无留出数据"),
    "stale": ("for earlier bytes of this variant", "针对该变体的旧文件"),
    "lineage": ("Lineage", "来源"),
    "parent": ("Parent", "父版本"),
    "vectors_digest": ("Word vectors (SHA-256)", "词向量（SHA-256）"),
    "raw_text_digest": ("Raw text (SHA-256)", "无标注文本（SHA-256）"),
    "seed": ("Seed", "随机种子"),
    "code_version": ("Hanlin version + digest of its source", "Hanlin 版本 + 源码摘要"),
    "job": ("Job", "作业"),
    "limits": ("Limits", "局限"),
    "state_candidate": ("candidate", "候选"),
    "state_certified": ("certified", "已认证"),
    "state_published": ("published", "已发布"),
    "base": ("published as a base for fine-tuning, without a certificate", "作为微调基座发布，无证书"),
}

LIMITS: tuple[tuple[str, str], ...] = (
    (
        "It answers with the labels above for every text, also for texts that are about something else.",
        "对任何文本它都会给出上述标签之一，即使文本与之无关。",
    ),
    (
        "The figures hold for rows like those of its dataset; other sources, times and languages may do worse. Measure on your own.",
        "以上数字仅适用于与其数据集相似的文本；其他来源、时期或语言的效果可能更差，请用自己的数据测量。",
    ),
    (
        "A score is a confidence, not a probability of being right, unless the calibration error above is small.",
        "分数是置信度；除非上面的校准误差很小，否则不等于正确的概率。",
    ),
    (
        "What is wrong or one-sided in the training rows is learnt too. Do not let it alone decide about people.",
        "训练数据中的错误与偏见也会被学到；不要让它独自对人作出决定。",
    ),
)
VECTOR_LIMITS: tuple[tuple[str, str], ...] = (
    (
        "Near vectors mean texts like those it was trained to bring together; what counts as alike is its own, and differs by language.",
        "向量相近只表示与其训练目标意义上的相似；何为相似由模型决定，并因语言而异。",
    ),
    LIMITS[1],
    LIMITS[3],
)


def word(name: str, language: str) -> str:
    """The word in `language` (`zh…` is Chinese, all else English); the name itself when it is not in the table."""
    pair = _WORDS.get(name)
    return name.replace("_", " ") if pair is None else pair[1 if language.startswith("zh") else 0]
