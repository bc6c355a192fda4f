// A shop and a game whose rules stand in the server: every client calls them by name.
//
//     node actions.mjs PORT [2|3]        RESP2 or RESP3
//
// docs/actions.md shows pieces of this program; a test runs it against every server.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createClient } from 'redis'

const [port, protocol = '3'] = process.argv.slice(2)
const client = createClient({ url: `redis://127.0.0.1:${port}`, RESP: Number(protocol) })
await client.connect()
const send = (...words) => client.sendCommand(words.map(String))

const params = (properties) =>
  JSON.stringify({ properties, required: Object.keys(properties), additionalProperties: false })
const count = { type: 'integer', minimum: 1 }
const text = { type: 'string', minLength: 1, maxLength: 64 }

// Defines an action. The same definition again changes nothing, so every start of the program may do it.
function define(name, roles, schema, ...blocks) {
  return send('MODEL.ACTION', name, roles.length, ...roles, 'PARAMS', schema, ...blocks)
}

// Calls an action. With a token it is done once, however often it is sent.
function call(name, keys, args, token) {
  const all = token ? [...keys, token] : keys
  const once = token ? ['TOKEN', token] : []
  return send('MODEL.CALL', name, all.length, ...all, ...once, 'ARGS', JSON.stringify(args))
}

// The code of a refusal, and its object of details.
async function refused(name, keys, args) {
  let reply
  try {
    reply = await call(name, keys, args)
  } catch (error) {
    const [word] = error.message.split(' ', 1)
    return [word, JSON.parse(error.message.slice(word.length))]
  }
  assert.fail(`${name} gave ${reply}`)
}

// Transfer.
await define('transfer', ['from', 'to'], params({ cents: count }),
  'ON', 'from', 'IF', 'self.balance >= args.cents', 'INCR', '$.balance', '=-args.cents',
  'ON', 'to', 'INCR', '$.balance', '=args.cents')
await send('MODEL.SET', 'acct:{b}:ann', 'any', '{"balance":100}')
await send('MODEL.SET', 'acct:{b}:bob', 'any', '{"balance":5}')
const token = `token:{b}:${randomUUID()}`
for (let attempt = 0; attempt < 3; attempt++) {
  const balances = await call('transfer', ['acct:{b}:ann', 'acct:{b}:bob'], { cents: 70 }, token)
  assert.deepEqual(balances, [['30'], ['75']])
}
const [word, error] = await refused('transfer', ['acct:{b}:ann', 'acct:{b}:bob'], { cents: 70 })
assert.deepEqual([word, error.role, error.values['self.balance']], ['CONDITION', 'from', 30])
assert.equal((await refused('transfer', ['acct:{b}:ann', 'acct:{b}:bob'], { cents: 0 }))[0], 'SCHEMA')

// Reserve.
await define('reserve', ['stock', 'order'], params({ n: count }),
  'ON', 'stock', 'IF', 'self.left - self.reserved >= args.n', 'INCR', '$.reserved', '=args.n',
  'ON', 'order', 'CREATE', 'any', '={"sku": docs.stock.sku, "n": args.n, "status": "reserved"}')
await send('MODEL.SET', 'stock:{s}:moka', 'any', '{"sku":"moka","left":5,"reserved":0}')
await call('reserve', ['stock:{s}:moka', 'order:{s}:1'], { n: 3 })
assert.equal(JSON.parse(await send('MODEL.GET', 'order:{s}:1')).sku, 'moka')
assert.equal((await refused('reserve', ['stock:{s}:moka', 'order:{s}:2'], { n: 3 }))[0], 'CONDITION')

// Level up.
await define('level-up', ['player', 'board'], params({ name: text }),
  'ON', 'player', 'IF', 'self.xp >= 100 * self.level',
  'INCR', '$.xp', '=-100 * self.level', 'INCR', '$.level', 1,
  'AT', 'board', 'ZADD', '=docs.player.level', '=args.name')
await send('MODEL.SET', 'player:{g}:ann', 'any', '{"level":1,"xp":250}')
assert.deepEqual(await call('level-up', ['player:{g}:ann', 'board:{g}'], { name: 'ann' }), [['150', '2'], [1]])
assert.equal((await refused('level-up', ['player:{g}:ann', 'board:{g}'], { name: 'ann' }))[0], 'CONDITION')

// Add to cart.
await define('add-to-cart', ['cart'], params({ sku: text, n: count }),
  'ON', 'cart', 'INIT', 'any', '{"lines":[]}',
  'WHEN', '!self.lines.exists(line, line.sku == args.sku)',
  'APPEND', '$.lines', '=[{"sku": args.sku, "n": 0}]',
  'INCR', '$.lines[?@.sku == args.sku].n', '=args.n')
await call('add-to-cart', ['cart:{c}:7'], { sku: 'moka', n: 1 })
await call('add-to-cart', ['cart:{c}:7'], { sku: 'cup', n: 4 })
await call('add-to-cart', ['cart:{c}:7'], { sku: 'moka', n: 2 })
const lines = JSON.parse(await send('MODEL.GET', 'cart:{c}:7', '$.lines'))
assert.deepEqual(lines, [{ sku: 'moka', n: 3 }, { sku: 'cup', n: 4 }])

// Rate limit.
await send('MODEL.DEFINE', 'window', '{}', 'TTL', 60)
await define('limit', ['window'], params({ most: count }),
  'ON', 'window', 'INIT', 'window', '{"calls":0}', 'IF', 'self.calls < args.most', 'INCR', '$.calls', 1)
for (let nth = 1; nth <= 3; nth++) {
  assert.deepEqual(await call('limit', ['calls:{u}:ann'], { most: 3 }), [[String(nth)]])
}
assert.equal((await refused('limit', ['calls:{u}:ann'], { most: 3 }))[0], 'CONDITION')

client.destroy()
console.log('ok')
