"""Well-known libraries that hookmon has no pack for: where a program uses one, the report says how to watch it.

A library is looked for by the module whose import tells that it is used, as far as no pack and no watch of the user is about its
package. What is watched is the one place that all its calls pass through; names are those of the releases in the comments.
"""

from __future__ import annotations

KNOWN_LIBRARIES = {
    "aio_pika.exchange": "aio_pika.exchange:Exchange.publish",  # 10.2
    "aiokafka.producer.producer": "aiokafka.producer.producer:AIOKafkaProducer.send",  # 0.14
    "aiomcache.client": "aiomcache.client:FlagClient.*",  # 0.8
    "aiomysql.cursors": "aiomysql.cursors:Cursor.execute",  # 0.3
    "asyncmy.connection": "asyncmy.connection:Connection.query",  # 0.2
    "clickhouse_connect.driver.httpclient": "clickhouse_connect.driver.httpclient:HttpClient._raw_request",  # 1.0
    "diskcache.core": "diskcache.core:Cache.get",  # 5.6
    "duckdb": "duckdb:DuckDBPyConnection.execute",  # 2.0
    "kafka.producer.kafka": "kafka.producer.kafka:KafkaProducer.send",  # 3.0
    "memcache": "memcache:Client._get,Client._set",  # python-memcached 1.62
    "mysql.connector.cursor": "mysql.connector.cursor:MySQLCursor.execute",  # 26.10, the cursor in Python
    "mysql.connector.cursor_cext": "mysql.connector.cursor_cext:CMySQLCursor.execute",
    "nats.aio.client": "nats.aio.client:Client.publish,Client.request",  # 2.16
    "neo4j._sync.work.session": "neo4j._sync.work.session:Session.run",  # 6.0
    "niquests.sessions": "niquests.sessions:Session.send",
    "opensearchpy.transport": "opensearchpy.transport:Transport.perform_request",  # 3.2
    "oracledb.cursor": "oracledb.cursor:Cursor.execute",  # 26.1
    "paramiko.client": "paramiko.client:SSHClient.connect,SSHClient.exec_command",
    "qdrant_client.qdrant_client": "qdrant_client.qdrant_client:QdrantClient.*",
    "trino.dbapi": "trino.dbapi:Cursor.execute",
}
"""{module that is imported: what --watch is to be given}."""


def not_watched(modules: set[str]) -> list[str]:
    """Return the modules of KNOWN_LIBRARIES whose package none of these modules belongs to, which somebody watches."""
    packages = {module.partition(".")[0] for module in modules}
    return [module for module in KNOWN_LIBRARIES if module.partition(".")[0] not in packages]


def advice(module: str) -> str:
    """Return the sentence about a library that is imported and watched by nobody."""
    return f'{module} is imported, and no pack watches it: hookmon run --watch "{KNOWN_LIBRARIES[module]}" does'
