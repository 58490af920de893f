// The commands that consist of parts, and those of the receiving node.

import RingstoreAPI

extension Command {
  static let madeOfParts: [Command] = [
    .mGet, .mSet, .mDelete, .mExists, .mTouch, .mLRange, .keys, .scan, .dbSize, .randomKey, .reset,
    .stats, .hotKeys, .bigKeys, .pipeline, .describe, .shutdown, .reload,
    .snapshot, .digest, .backup, .acceptLoss, .clients,
    .killClient, .logLevel, .slowLog, .config,
  ]

  // MARK: - Many keys

  package static let mGet = parts(
    .mGet, V1.KeyStore.mGet, .read, .namedKeys, .manyKeys, "MGET key [key ...]",
    "Reads many keys, each with its own outcome.")

  package static let mSet = parts(
    .mSet, V1.KeyStore.mSet, .write, .namedKeys, .manyKeys, "MSET key value [key value ...]",
    "Stores many values, each with its own outcome.")

  package static let mDelete = parts(
    .mDelete, V1.KeyStore.mDelete, .write, .namedKeys, .manyKeys, "MDELETE key [key ...]",
    "Removes many keys, each with its own outcome.")

  package static let mExists = parts(
    .mExists, V1.KeyStore.mExists, .read, .namedKeys, .manyKeys, "MEXISTS key [key ...]",
    "Counts how many of many keys exist, each with its own outcome.")

  package static let mTouch = parts(
    .mTouch, V1.KeyStore.mTouch, .read, .namedKeys, .manyKeys, "MTOUCH key [key ...]",
    "Marks many keys as used now, each with its own outcome.")

  package static let mLRange = parts(
    .mLRange, V1.KeyStore.mLRange, .read, .namedKeys, .manyKeys,
    "MLRANGE key start stop [key start stop ...]",
    "Reads ranges of many lists, each with its own outcome.")

  // MARK: - Every shard

  package static let keys = parts(
    .keys, V1.KeyStore.keys, .read, .allowedKeys, .everyShard, "KEYS pattern",
    "Lists the keys that match a pattern.")

  package static let scan = parts(
    .scan, V1.KeyStore.scan, .read, .allowedKeys, .everyShard, "SCAN [pattern]",
    "Lists any number of keys that match a pattern, page by page.")

  package static let dbSize = parts(
    .dbSize, V1.KeyStore.dbSize, .read, .allowedKeys, .everyShard, "DBSIZE [ALL]",
    "Counts the keys of a database, or of all databases.")

  package static let randomKey = parts(
    .randomKey, V1.KeyStore.randomKey, .read, .allowedKeys, .everyShard, "RANDOMKEY",
    "Returns a random key of a database, all keys equally likely.")

  package static let reset = parts(
    .reset, V1.KeyStore.reset, .admin, .wholeDatabases, .everyShard, "RESET [ALL]",
    "Removes every key of a database, or of all databases.")

  package static let stats = parts(
    .stats, V1.Cluster.stats, .read, .everything, .everyShard, "STATS",
    "Returns the counters of this node and of every shard, added up.")

  package static let hotKeys = parts(
    .hotKeys, V1.Cluster.hotKeys, .admin, .allowedKeys, .everyShard, "HOTKEYS [count]",
    "Lists the keys that are looked up most often, from a sample.")

  package static let bigKeys = parts(
    .bigKeys, V1.Cluster.bigKeys, .admin, .allowedKeys, .everyShard, "BIGKEYS [count] [ALL]",
    "Scans all keys of a database, or of all databases, and lists the largest.")

  package static let snapshot = Command(
    .snapshot, V1.Cluster.snapshot, .admin, .node, .everyShard, .parts,
    "Makes every shard write all its keys to disk now, and reports the progress.",
    forms: [])

  package static let digest = Command(
    .digest, V1.Cluster.digest, .admin, .everything, .everyShard, .parts,
    "Scans all keys, and returns digests of shards and slots.",
    forms: [])

  package static let backup = Command(
    .backup, V1.Cluster.backup, .admin, .everything, .everyShard, .parts,
    "Streams the files of a backup: the keys of each shard at one moment.", forms: [])

  // MARK: - The receiving node

  package static let pipeline = Command(
    .pipeline, V1.KeyStore.pipeline, .read, .namedKeys, .thisNode, .pipeline,
    "Sends many calls and replies on one stream; each call needs its own permission.",
    forms: [])

  package static let describe = parts(
    .describe, V1.Cluster.describe, .read, .node, .thisNode, "DESCRIBE",
    "Describes the cluster and the state of each node.")

  package static let shutdown = parts(
    .shutdown, V1.Cluster.shutdown, .admin, .node, .thisNode, "SHUTDOWN [CLUSTER]",
    "Stops this node, or the whole cluster, after the calls in progress.")

  package static let reload = parts(
    .reload, V1.Cluster.reload, .admin, .node, .thisNode, "RELOAD [PLAN]",
    "Makes a router read its list of shards again, or shows what that would change.")

  package static let acceptLoss = Command(
    .acceptLoss, V1.Cluster.acceptLoss, .admin, .node, .thisNode, .parts,
    "Makes the cluster accept a shard whose data was lost or replaced.", forms: [])

  package static let clients = Command(
    .clients, V1.Cluster.clients, .admin, .node, .thisNode, .parts,
    "Lists the connections of a node's clients.", forms: [])

  package static let killClient = Command(
    .killClient, V1.Cluster.killClient, .admin, .node, .thisNode, .parts,
    "Closes a connection of a node.", forms: [])

  package static let logLevel = Command(
    .logLevel, V1.Cluster.logLevel, .admin, .node, .thisNode, .parts,
    "Shows or changes the log level of a node.", forms: [])

  package static let slowLog = Command(
    .slowLog, V1.Cluster.slowLog, .admin, .node, .thisNode, .parts,
    "Returns the latest slow and large calls of a node, and clears the list if `reset` is set.",
    forms: [])

  package static let config = Command(
    .config, V1.Cluster.config, .admin, .node, .thisNode, .parts,
    "Returns a node's settings and the source of each.", forms: [])

  private static func parts(
    _ id: CommandID, _ rpc: RPC, _ access: Access, _ reach: Reach, _ routing: Routing,
    _ usage: String, _ summary: String
  ) -> Command {
    Command(id, rpc, access, reach, routing, .parts, summary, forms: [CommandForm(usage, summary)])
  }
}
