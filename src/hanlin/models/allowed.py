"""What a foreign model folder may hold: files, architectures, keys of `config.json`. Everything else is refused by name."""

from __future__ import annotations

import re

# Encoders whose transformers classes read ids and mask alone, have a sequence-classification head and run no code from the folder.
# Each encoder passes import, training and export to every engine on tiny random weights (tests/models/test_models_architectures.py).
MODEL_TYPES = (
    "albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "ernie", "eurobert", "gte", "megatron-bert",
    "modernbert", "mpnet", "nomic_bert", "rembert", "roberta", "roberta-prelayernorm", "roformer", "xlm-roberta", "xlm-roberta-xl",
)  # fmt: skip
PAD_OFFSET = (
    "camembert",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
)  # count positions from the padding id on
# Networks that write a target for a source, and those that continue their row: with their class of transformers, as above.
SEQ2SEQ_TYPES = ("bart", "m2m_100", "marian", "mbart", "mt5", "pegasus", "t5")
CAUSAL_TYPES = ("gemma", "gpt2", "gpt_neox", "llama", "mistral", "olmo2", "opt", "phi", "phi3", "qwen2", "qwen3", "smollm3")
WEIGHTS = "model.safetensors"
NEEDED = frozenset({"config.json", WEIGHTS})
OWN_FILES = frozenset({"hanlin.json", "wide.safetensors", "projection.safetensors"})  # in what `hanlin model export` wrote
TOKENIZER_FILES = frozenset({"tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"})
# Companions that are common in such folders; they are never opened. What we export beside the model is among them.
IGNORED = re.compile(
    r"(readme|license|notice|changelog)(\.(md|txt))?|\.gitattributes|modules\.json|sentence_bert_config\.json|config_sentence_transformers\.json"
    r"|data_config\.json|training_args\.json|eval|similarity_evaluation_[\w-]*\.csv|added_tokens\.json|chat_template\.jinja|generation_config\.json|trainer_state\.json|[0-9]_(pooling|normalize|dense)|onnx|openvino|variants|pictures|base",
    re.IGNORECASE,
)
# Formats that run code when they are opened, or that we do not read.
PICKLES = re.compile(
    r".*\.(bin|pt|pth|pkl|pickle|joblib|npy|npz|h5|keras|nemo|ckpt|msgpack|ot|gguf|onnx|tflite|pb|mar|zip|tar|gz|model)", re.IGNORECASE
)

_COMMON = """
architectures model_type id2label label2id num_labels problem_type transformers_version torch_dtype dtype vocab_size hidden_size
num_hidden_layers num_attention_heads intermediate_size hidden_act hidden_dropout_prob attention_probs_dropout_prob
max_position_embeddings type_vocab_size initializer_range layer_norm_eps pad_token_id bos_token_id eos_token_id cls_token_id
sep_token_id unk_token_id position_embedding_type use_cache classifier_dropout gradient_checkpointing output_past finetuning_task
embedding_size tie_word_embeddings is_decoder is_encoder_decoder add_cross_attention cross_attention_hidden_size
chunk_size_feed_forward output_attentions output_hidden_states return_dict directionality pooler_fc_size
pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type
"""
_DISTILBERT = (
    "activation attention_dropout dim dropout hidden_dim n_heads n_layers qa_dropout seq_classif_dropout sinusoidal_pos_embds tie_weights_"
)
_ELECTRA = "summary_activation summary_last_dropout summary_type summary_use_proj generator_hidden_size"
_ALBERT = "classifier_dropout_prob down_scale_factor gap_size inner_group_num net_structure_type num_hidden_groups num_memory_blocks"
_DEBERTA = """
attention_head_size max_relative_positions norm_rel_ebd pos_att_type position_biased_input position_buckets relative_attention share_att_key
conv_act conv_kernel_size pooler_dropout pooler_hidden_act pooler_hidden_size legacy
"""
_SEQ2SEQ = """
d_model d_kv d_ff num_layers num_decoder_layers num_heads relative_attention_max_distance dropout_rate layer_norm_epsilon initializer_factor
feed_forward_proj dense_act_fn is_gated_act scale_decoder_outputs n_positions encoder_layers encoder_ffn_dim encoder_attention_heads
decoder_layers decoder_ffn_dim decoder_attention_heads encoder_layerdrop decoder_layerdrop activation_function activation_dropout init_std
scale_embedding decoder_start_token_id decoder_vocab_size share_encoder_decoder_embeddings classif_dropout add_bias_logits
add_final_layer_norm extra_pos_embeddings normalize_before normalize_embedding static_position_embeddings
force_bos_token_to_be_generated tokenizer_class num_hidden_layers
"""
_CAUSAL = """
n_embd n_layer n_head n_inner n_ctx resid_pdrop embd_pdrop attn_pdrop summary_proj_to_labels summary_first_dropout scale_attn_weights
scale_attn_by_inverse_layer_idx reorder_and_upcast_attn num_key_value_heads rms_norm_eps pretraining_tp attention_bias mlp_bias head_dim
rope_theta rope_scaling rope_parameters sliding_window use_sliding_window max_window_layers layer_types hidden_dropout rotary_pct
rotary_emb_base use_parallel_residual partial_rotary_factor qk_layernorm original_max_position_embeddings ffn_dim do_layer_norm_before
_remove_final_layer_norm word_embed_proj_dim layerdrop enable_bias layer_norm_elementwise_affine hidden_activation
use_bidirectional_attention no_rope_layers no_rope_layer_interval
"""
# ModernBERT, EuroBERT, GTE, NomicBERT, RoFormer, RemBERT, ERNIE.
_NEWER = """
attention_bias classifier_activation classifier_bias classifier_pooling decoder_bias deterministic_flash_attn embedding_dropout
hidden_activation initializer_cutoff_factor layer_types local_attention mlp_bias mlp_dropout norm_bias norm_eps rope_parameters
sparse_pred_ignore_index sparse_prediction global_attn_every_n_layers global_rope_theta local_rope_theta repad_logits_with_grad
reference_compile compile_mlp rope_theta rope_scaling head_dim num_key_value_heads rms_norm_eps pretraining_tp mask_token_id
rotary_value input_embedding_size output_embedding_size task_type_vocab_size use_task_id bos_token eos_token
pad_token mask_token
"""
_OWN = "wide_sizes wide_buckets hanlin_head"
CONFIG_KEYS = frozenset(f"{_COMMON} {_DISTILBERT} {_ELECTRA} {_ALBERT} {_DEBERTA} {_NEWER} {_OWN} relative_attention_num_buckets".split())
WRITER_KEYS = CONFIG_KEYS | frozenset(f"{_SEQ2SEQ} {_CAUSAL}".split())
# How rotary positions are stretched, for all layers or for each kind of layer: the only object in a config that we read.
_ROTARY = """
rope_theta rope_type type factor low_freq_factor high_freq_factor original_max_position_embeddings partial_rotary_factor attention_factor
beta_fast beta_slow mixed_b short_factor long_factor
"""
ROTARY_KEYS = frozenset(_ROTARY.split())
LAYER_TYPES = frozenset({"full_attention", "sliding_attention"})
CROSS_ENCODER_KEYS = frozenset({"sentence_transformers", "sbert_ce_default_activation_function"})  # how its scores were shown; never read
DROPPED_KEYS = frozenset({"_name_or_path", "transformers_version", "torch_dtype", "dtype", "architectures", "problem_type", "num_labels"})
ACTIVATIONS = frozenset(
    {"gelu", "gelu_new", "gelu_fast", "gelu_python", "gelu_pytorch_tanh", "relu", "silu", "swish", "tanh", "gated-gelu"}
)
MUST_BE_FALSE = frozenset({"is_decoder", "is_encoder_decoder", "add_cross_attention", "output_attentions", "output_hidden_states"})
BOUNDS = {
    "vocab_size": 2_000_000,
    "hidden_size": 16_384,
    "dim": 16_384,
    "num_hidden_layers": 128,
    "n_layers": 128,
    "num_attention_heads": 256,
    "n_heads": 256,
    "intermediate_size": 65_536,
    "hidden_dim": 65_536,
    "max_position_embeddings": 131_072,
    "type_vocab_size": 1024,
    "embedding_size": 16_384,
    "d_model": 16_384,
    "d_kv": 4096,
    "d_ff": 65_536,
    "num_layers": 128,
    "num_decoder_layers": 128,
    "num_heads": 256,
    "encoder_layers": 128,
    "decoder_layers": 128,
    "encoder_ffn_dim": 65_536,
    "decoder_ffn_dim": 65_536,
    "encoder_attention_heads": 256,
    "decoder_attention_heads": 256,
    "n_embd": 16_384,
    "n_layer": 128,
    "n_head": 256,
    "n_inner": 65_536,
    "n_positions": 131_072,
    "num_key_value_heads": 256,
    "head_dim": 4096,
    "sliding_window": 1_048_576,
    "ffn_dim": 65_536,
    "word_embed_proj_dim": 16_384,
    "decoder_vocab_size": 2_000_000,
    "original_max_position_embeddings": 1_048_576,
}
MAY_BE_NULL = frozenset({"n_inner", "num_key_value_heads", "head_dim", "sliding_window", "num_decoder_layers", "hidden_activation"})
