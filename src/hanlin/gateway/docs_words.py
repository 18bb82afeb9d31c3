"""The Chinese of the API's page: its headings, groups and refusals. What routes say of themselves stays in English."""

from __future__ import annotations

import re

_ZH = {
    "parameter": "参数",
    "field": "字段",
    "in": "位置",
    "type": "类型",
    "default": "默认值",
    "example": "示例",
    "required": "必填",
    "Body": "请求体",
    "inference": "推理",
    "rerank": "重排序",
    "health": "健康检查",
    "blobs": "文件块",
    "datasets": "数据集",
    "models": "模型",
    "jobs": "任务作业",
    "serving": "部署",
    "documents": "文档",
    "job configs": "作业配置",
    "parameters": "调用参数",
    "batches": "批处理",
    "files": "文件",
    "other": "其他",
    "The answer": "应答",
    "Not HTTP, or not JSON": "不是 HTTP 或不是 JSON",
    "No key, or one that is not valid": "没有密钥或密钥无效",
    "The key lacks the scope": "密钥缺少权限",
    "No such thing, or it is another team&#x27;s": "不存在，或属于其他团队",
    "It cannot be done as things stand; says what stands in the way": "当前状态下无法完成；会说明原因",
    "Body, batch or text too large": "请求体、批次或文本过大",
    "Not a content type or coding that is taken here": "不支持的内容类型或编码",
    "The request is wrong; says what and where": "请求有误；会说明何处、何故",
    "Too many calls, or the queue is full; see Retry-After": "调用过多或队列已满；见 Retry-After",
    "The model failed, or the server": "模型或服务出错",
    "Not ready; see Retry-After": "尚未就绪；见 Retry-After",
    "The deadline passed": "已超过时限",
    "No room in memory or on disk": "内存或磁盘空间不足",
}
_PLACE = re.compile(r"(?<=<th>)[^<]+|(?<=</b> )[^<]+(?=</p>)|(?<=<p>)Body(?= )|(?<=\">)[^<]+(?=</a>|</h2>)|(?<=<td>)required(?=</td>)")


def in_chinese(page: str) -> str:
    """`page` with the words of its own in Chinese, wherever they stand as headings, groups or refusals."""
    return _PLACE.sub(lambda found: _ZH.get(found[0], found[0]), page).replace('<html lang="en">', '<html lang="zh">')
