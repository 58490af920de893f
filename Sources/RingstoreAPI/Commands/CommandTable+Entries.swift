// The entries of the command table, grouped by which nodes take part.

extension CommandTable {
  static let oneKey: [Command] = strings + lists

  private static let strings: [Command] = [
    Command(
      .set, V1.KeyStore.set, line: "SET", arity: 3, .write, .oneKey,
      summary: "Stores a value under a key, whatever the key held before.", usage: "SET key value"),
    Command(
      .get, V1.KeyStore.get, line: "GET", arity: 2, .read, .oneKey,
      summary: "Reads the value of a key.", usage: "GET key"),
    Command(
      .delete, V1.KeyStore.delete, line: "DELETE", aliases: ["DEL"], arity: 2, .write, .oneKey,
      summary: "Removes a key of any type.", usage: "DELETE key"),
    Command(
      .exists, V1.KeyStore.exists, line: "EXISTS", arity: 2, .read, .oneKey,
      summary: "Tells whether a key holds anything.", usage: "EXISTS key"),
    Command(
      .type, V1.KeyStore.type, line: "TYPE", arity: 2, .read, .oneKey,
      summary: "Tells whether a key holds a string, a list or nothing.", usage: "TYPE key"),
    Command(
      .incrBy, V1.KeyStore.incrBy, line: "INCRBY", arity: 3, .write, .oneKey,
      summary: "Adds to the integer that a key holds; a missing key counts as 0.",
      usage: "INCRBY key delta"),
  ]

  private static let lists: [Command] = [
    Command(
      .lPush, V1.KeyStore.lPush, line: "LPUSH", arity: -3, .write, .oneKey,
      summary: "Puts values in front of a list, one after another; makes the list if need be.",
      usage: "LPUSH key value [value ...]"),
    Command(
      .rPush, V1.KeyStore.rPush, line: "RPUSH", arity: -3, .write, .oneKey,
      summary: "Puts values at the end of a list; makes the list if need be.",
      usage: "RPUSH key value [value ...]"),
    Command(
      .lPop, V1.KeyStore.lPop, line: "LPOP", arity: 2, .write, .oneKey,
      summary: "Takes the first value of a list away and answers it.", usage: "LPOP key"),
    Command(
      .rPop, V1.KeyStore.rPop, line: "RPOP", arity: 2, .write, .oneKey,
      summary: "Takes the last value of a list away and answers it.", usage: "RPOP key"),
    Command(
      .lRange, V1.KeyStore.lRange, line: "LRANGE", arity: 4, .read, .oneKey,
      summary: "Reads a range of a list; both ends count, negative ones from the end.",
      usage: "LRANGE key start stop"),
    Command(
      .lRangeStream, V1.KeyStore.lRangeStream, line: "LRANGESTREAM", arity: 4, .read, .oneKey,
      summary: "Reads a range of a list of any length, in chunks of one consistent view.",
      usage: "LRANGESTREAM key start stop"),
    Command(
      .lLen, V1.KeyStore.lLen, line: "LLEN", arity: 2, .read, .oneKey,
      summary: "Counts the values of a list; a missing list has 0.", usage: "LLEN key"),
  ]

  static let manyKeys: [Command] = [
    Command(
      .mGet, V1.KeyStore.mGet, line: "MGET", arity: -2, .read, .manyKeys,
      summary: "Reads many keys, each with its own outcome.", usage: "MGET key [key ...]"),
    Command(
      .mSet, V1.KeyStore.mSet, line: "MSET", arity: -3, .write, .manyKeys,
      summary: "Stores many values, each with its own outcome.",
      usage: "MSET key value [key value ...]"),
    Command(
      .mDelete, V1.KeyStore.mDelete, line: "MDELETE", arity: -2, .write, .manyKeys,
      summary: "Removes many keys, each with its own outcome.", usage: "MDELETE key [key ...]"),
    Command(
      .mLRange, V1.KeyStore.mLRange, line: "MLRANGE", arity: -4, .read, .manyKeys,
      summary: "Reads ranges of many lists, each with its own outcome.",
      usage: "MLRANGE key start stop [key start stop ...]"),
  ]

  static let everyShard: [Command] = [
    Command(
      .keys, V1.KeyStore.keys, line: "KEYS", arity: -2, .read, .everyShard,
      summary: "Lists the keys that match a pattern.", usage: "KEYS pattern"),
    Command(
      .scan, V1.KeyStore.scan, line: "SCAN", arity: -1, .read, .everyShard,
      summary: "Lists the keys that match a pattern, however many, page by page.",
      usage: "SCAN [pattern]"),
    Command(
      .dbSize, V1.KeyStore.dbSize, line: "DBSIZE", arity: -1, .read, .everyShard,
      summary: "Counts the keys of a database, or of all.", usage: "DBSIZE [ALL]"),
    Command(
      .reset, V1.KeyStore.reset, line: "RESET", arity: -1, .admin, .everyShard,
      summary: "Removes every key of a database, or of all.", usage: "RESET [ALL]"),
    Command(
      .stats, V1.Cluster.stats, line: "STATS", arity: 1, .read,
      .everyShard, summary: "Answers the counters of the node asked and of every shard, added up.",
      usage: "STATS"),
  ]

  static let thisNode: [Command] = [
    Command(
      .pipeline, V1.KeyStore.pipeline, line: nil, arity: 0, .read, .thisNode,
      summary: "Carries many calls and replies on one stream; each call needs its own permission.",
      usage: "a stream of CallBatch"),
    Command(
      .describe, V1.Cluster.describe, line: "DESCRIBE", arity: 1, .read,
      .thisNode, summary: "Tells what the cluster is made of and how each node does.",
      usage: "DESCRIBE"),
    Command(
      .shutdown, V1.Cluster.shutdown, line: "SHUTDOWN", arity: -1, .admin,
      .thisNode, summary: "Ends the node asked, or the whole cluster, once calls are answered.",
      usage: "SHUTDOWN [CLUSTER]"),
  ]
}
