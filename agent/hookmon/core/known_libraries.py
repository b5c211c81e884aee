"""Well-known libraries that hookmon has no pack for: where a program uses one, the report says how to watch it.

A library is looked for by the module whose import tells that it is used, as far as no pack and no watch of the user is about its
package. What is watched is the one place that all its calls pass through; names are those of the releases in the comments.
"""

from __future__ import annotations

KNOWN_LIBRARIES = {
    "aiomcache.client": "aiomcache.client:FlagClient.*",  # 0.8
    "cassandra.cluster": "cassandra.cluster:Session.execute_async",  # 3.30, which execute() calls
    "databricks.sql.client": "databricks.sql.client:Cursor.execute",  # 4.9
    "hazelcast.proxy.map": "hazelcast.proxy.map:Map.*",  # 5.7
    "influxdb_client._sync.rest": "influxdb_client._sync.rest:RESTClientObject.request",  # 1.50
    "meilisearch._httprequests": "meilisearch._httprequests:HttpRequests.send_request",  # 0.43
    "memcache": "memcache:Client._get,Client._set",  # python-memcached 1.62
    "pysolr": "pysolr:Solr._send_request",  # 3.11
}
"""{module that is imported: what --watch is to be given}."""


def not_watched(modules: set[str]) -> list[str]:
    """Return the modules of KNOWN_LIBRARIES whose package none of these modules belongs to, which somebody watches."""
    packages = {module.partition(".")[0] for module in modules}
    return [module for module in KNOWN_LIBRARIES if module.partition(".")[0] not in packages]


def advice(module: str) -> str:
    """Return the sentence about a library that is imported and watched by nobody."""
    return f'{module} is imported, and no pack watches it: hookmon run --watch "{KNOWN_LIBRARIES[module]}" does'
