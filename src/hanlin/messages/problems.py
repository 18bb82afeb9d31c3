"""What pydantic and our own checks find wrong with a value, in Chinese: they speak English only. By their own texts, so that
errors keep them as they are.

Source: pydantic-core, the messages of its error types; `hanlin.tasks.checks`; `hanlin.datasets.values`.
"""

from __future__ import annotations

import functools
import re

_TEXTS = (
    (r"Field required", "缺少此项"),
    (r"Extra inputs are not permitted", "没有这一项"),
    (r"Input should be greater than or equal to (\S+), or ('[^']*')", r"应不小于 \1，或为 \2"),
    (r"Input should be less than or equal to (\S+), or ('[^']*')", r"应不大于 \1，或为 \2"),
    (r"Input should be greater than (\S+), or ('[^']*')", r"应大于 \1，或为 \2"),
    (r"Input should be a valid integer.*, or ('[^']*')", r"应为整数，或为 \1"),
    (r"Input should be a valid number.*, or ('[^']*')", r"应为数，或为 \1"),
    (r"Input should be a valid integer.*", "应为整数"),
    (r"Input should be a finite number", "应为有限的数"),
    (r"Input should be a valid number.*", "应为数"),
    (r"Input should be a valid boolean.*", "应为 true 或 false"),
    (r"Input should be a valid string.*", "应为字符串"),
    (r"Input should be a valid (?:list|array|tuple|set).*", "应为列表"),
    (r"Input should be a valid (?:dictionary|object|JSON object).*", "应为对象"),
    (r"Input should be a valid (?:datetime|date).*", "应为日期时间"),
    (r"Input (?:should be|is not) a valid path.*", "应为路径"),
    (r"Input should be None", "应为空"),
    (r"Input should be greater than or equal to (.+)", r"应不小于 \1"),
    (r"Input should be less than or equal to (.+)", r"应不大于 \1"),
    (r"Input should be greater than (.+)", r"应大于 \1"),
    (r"Input should be less than (.+)", r"应小于 \1"),
    (r"Input should be ('.+') or ('[^']*')", r"应为 \1 或 \2"),
    (r"Input should be ('[^']*')", r"应为 \1"),
    (r"String should have at least (\d+) characters?", r"至少 \1 个字符"),
    (r"String should have at most (\d+) characters?", r"最多 \1 个字符"),
    (r"String should match pattern '(.+)'", r"应符合模式 \1"),
    (r"\w+ should have at least (\d+) items? after validation, not (\d+)", r"至少 \1 项，现有 \2 项"),
    (r"\w+ should have at most (\d+) items? after validation, not (.+)", r"最多 \1 项，现有 \2 项"),
    (r"(?:JSON decode error|Invalid JSON).*", "不是有效的 JSON"),
    (r"Value error, (.+)", r"\1"),
    # what `hanlin.tasks.checks` expects and finds
    (r"null", "空值"),
    (r"an object", "对象"),
    (r"a whole number", "整数"),
    (r"a list", "列表"),
    (r"a string or a list of at most (\d+) strings", r"字符串，或最多 \1 个字符串的列表"),
    (r"a list of at most (\d+) strings", r"最多 \1 个字符串的列表"),
    (r"numbers from (\S+) to (\S+)", r"\1 至 \2 的数"),
    (r"a JSON schema", "JSON Schema"),
    (r"an object with a schema", "含 schema 的对象"),
    (r"at most (\d+) characters", r"最多 \1 个字符"),
    (r"a text that is not empty", "非空文本"),
    (r"(\d+) of them", r"\1 个"),
    (r"a list with ('.*|\".*|-?\d.*)", r"含 \1 的列表"),
    (r"a list with .+", "含有非字符串的列表"),
    (r"one with ('.*|\".*|-?\d.*)", r"含 \1 的值"),
    (r"an object without one", "没有类型的对象"),
    (r"an object with a type", "有类型的对象"),
    (r"one of type null", "没有类型的值"),
    (r"one of type ('.*|\".*|-?\d.*)", r"类型为 \1 的值"),
    (r"one of type .+", "类型不是字符串的值"),
    (r"an empty object", "空对象"),
    (r"an empty list", "空列表"),
    (r"an empty string", "空字符串"),
    (r"a number out of range", "超出范围的数"),
    (r"a list of strings", "字符串列表"),
    (r"a string", "字符串"),
    (r"a string of 1 to (\d+) characters", r"1 至 \1 个字符的字符串"),
    (r"a number", "数"),
    (r"a boolean", "布尔值"),
    (r"true or false", "true 或 false"),
    (r"an integer from (\S+) to (\S+)", r"\1 至 \2 的整数"),
    (r"refuse or truncate of a model that writes meanings", "写出语义的模型应为 refuse 或 truncate"),
    (r"one of (\w+) and (\w+)", r"\1 与 \2 之一"),
    (r"one of (.+)", r"以下之一：\1"),
    (r"an object by token ids, without signs and leading zeros", "以词元编号为键的对象，编号不带正负号与前导零"),
    (r"one out of range", "超出范围的值"),
    (r"one that is empty or too long", "空的或过长的字符串"),
    (r"both of them", "两者都有"),
    (r"(absent|none) beside token ids", r"与 token_ids 一起时不用（\1）"),
    (r"a number out of range among them", "其中有超出范围的数"),
    (r"(?:null|an object|a list|a string|a number|a boolean) among them", "其中有不是整数的值"),
    # what `hanlin.datasets` finds wrong with a row
    (r"another number of columns than the header", "列数与表头不一致"),
    (r"a quotation mark is opened and not closed, or stands inside a field", "引号未闭合，或出现在字段中间"),
    (r"the row is longer than 4 million characters", "该行超过 400 万个字符"),
    (r"it has bytes that are not of the file's encoding", "含有不符合文件编码的字节"),
    (r"not a JSON object", "不是 JSON 对象"),
    (r"an object has the same key twice", "有对象的键重复"),
    (r"the text is missing", "缺少文本"),
    (r"the text is not a string", "文本不是字符串"),
    (r"the text is empty: only space, control characters or lone marks", "文本为空：只有空白、控制字符或孤立的附加符号"),
    (r"the text is larger than 1 MiB", "文本超过 1 MiB"),
    (r"the text has a lone surrogate", "文本含有孤立的代理码"),
    (r"the second text \(text_pair, aspect\) is not a string", "第二段文本（text_pair、aspect）不是字符串"),
    (
        r"the second text \(text_pair, aspect\) is empty: only space, control characters or lone marks",
        "第二段文本（text_pair、aspect）为空：只有空白、控制字符或孤立的附加符号",
    ),
    (r"the second text \(text_pair, aspect\) is larger than 1 MiB", "第二段文本（text_pair、aspect）超过 1 MiB"),
    (r"the second text \(text_pair, aspect\) has a lone surrogate", "第二段文本（text_pair、aspect）含有孤立的代理码"),
    (r"the label is missing", "缺少标签"),
    (r"the score is not a plain number such as -3\.5, or it is too large", "分数不是 -3.5 这样的普通数字，或者过大"),
    (r"a column of a label holds neither 0 nor 1", "标签列的值既不是 0 也不是 1"),
    (r"the tokens are not a list of strings", "tokens 应为字符串列表"),
    (r"the tags are not a list of strings", "tags 应为字符串列表"),
    (r"there are no tokens, or one is empty", "没有词，或其中有空的词"),
    (r"there are not as many tags as tokens", "标签数与词数不一致"),
    (r"the entities are not a list of start, end and label", "实体应为由 start、end 与 label 组成的列表"),
    (r"an entity does not lie within the text", "有实体超出文本范围"),
    (r"entities overlap or lie inside each other, which taggers cannot learn", "实体互相重叠或嵌套，标注模型无法学习"),
    (
        r"a span is labelled with a tag of tokens \(O, B-LOC\): label it with the type alone \(LOC\), and drop O",
        "区间的标签是词的标记（O、B-LOC）：请只写类型（LOC），并去掉 O",
    ),
    (r"the line has fewer columns than the first of the file", "该行的列数少于文件首行"),
    (
        r"not the columns of the format: CoNLL-2009 has 14 and one a predicate, CoNLL-2012 11, the roles and one more",
        "列与格式不符：CoNLL-2009 为 14 列加每个谓词一列，CoNLL-2012 为 11 列、角色列再加一列",
    ),
    (r"the \.txt file of this \.ann file is missing", "缺少与该 .ann 文件同名的 .txt 文件"),
    (
        r"not a span of characters in one piece: T1, tab, name, start, end, tab, words",
        "不是一段连续的字符：T1、制表符、名称、起点、终点、制表符、原文",
    ),
    (r"more than 100 unrelated texts", "不相关文本超过 100 个"),
    (r"the frames are not a list of predicate and arguments", "frames 应为由 predicate 与 arguments 组成的列表"),
    (r"a predicate or an argument does not lie within the tokens", "有谓词或论元超出词的范围"),
    (
        r"a role is called O, or V away from its predicate: V is the predicate itself, O is no role",
        "有角色名为 O，或 V 不在其谓词处：V 即谓词本身，O 不是角色",
    ),
    (r"two frames have the same predicate", "两个框架的谓词相同"),
    (r"the sense of a predicate is longer than 80 characters", "谓词的词义超过 80 个字符"),
    (
        r"arguments of a predicate overlap or lie inside each other, which taggers cannot learn",
        "同一谓词的论元互相重叠或嵌套，标注模型无法学习",
    ),
    (r"the tokens do not stand in the text in their order", "各词未按顺序出现在文本中"),
    (r"the brackets of a column of roles do not close", "角色列的括号未闭合"),
    (r"the slots are not an object of plain values by slot name", "slots 应为以槽位名为键、以简单值为值的对象"),
    (r"a slot span is not \[slot, start, end\] within the text", "槽位区间应为文本之内的 [槽位, 起, 止]"),
    (r"two slot spans overlap", "两个槽位区间重叠"),
    (r"the answers are not texts, or objects of text and start", "答案应为文本，或含 text 与 start 的对象"),
    (r"an answer does not stand in its context, or not where it says", "答案不在上下文中，或不在所说的位置"),
    (r"the query is missing, or none over the tables of its schema", "缺少查询，或它不是对其 schema 中各表的查询"),
    (
        r"the query has what is not learned: another query in it, brackets, functions, a join by no reference",
        "查询含有不学习的部分：子查询、括号、不按外键的连接或函数",
    ),
    (
        r"the schema is missing, or no CREATE TABLE statements whose references lead to each other",
        "缺少 schema，或它不是外键互相对得上的 CREATE TABLE 语句",
    ),
    (
        r"the messages are not a list of role \(system, user, assistant\) and content",
        "messages 应为由 role（system、user、assistant）与 content 组成的列表",
    ),
    (r"no message is the assistant's, or each has weight 0", "没有 assistant 的消息，或其 weight 都为 0"),
    (r"a message calls a tool or is a tool's answer, which is not learned", "有消息调用工具或是工具的回答，这些不能学习"),
    (r"one of the two answers is missing", "两个回答缺少一个"),
    (
        r"one answer is a text and the other a list of messages, or the prompt does not go with them",
        "两个回答一个是文本、另一个是消息列表，或与提示不匹配",
    ),
    (
        r"the two answers are not one message of the assistant each, behind the same messages",
        "两个回答应各为接在相同消息之后的一条 assistant 消息",
    ),
    (r"the two answers are the same", "两个回答相同"),
    (r"a field that must be a list or an object is not JSON", "应为列表或对象的字段不是 JSON"),
    (r"the label is not 1 to 200 characters without control characters", "标签应为 1 至 200 个字符且不含控制字符"),
)


@functools.cache
def _compiled() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Compiled when an error is first told in Chinese, not at every import of the SDK."""
    return tuple((re.compile(pattern, re.DOTALL), chinese) for pattern, chinese in _TEXTS)


def in_chinese(problem: str) -> str:
    """The problem in Chinese where it is one that is known here; else as it is."""
    for pattern, chinese in _compiled():
        if found := pattern.fullmatch(problem):
            return found.expand(chinese)
    return problem
