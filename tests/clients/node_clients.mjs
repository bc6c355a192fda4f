// The commands through node-redis and through ioredis.
//
//     node node_clients.mjs PORT [2|3]        RESP2 or RESP3, of node-redis; ioredis speaks RESP2
//
// docs/clients.md shows pieces of this program; a test runs it against every server.

import assert from 'node:assert/strict'
import { Redis } from 'ioredis'
import { createClient } from 'redis'

const [port, protocol = '3'] = process.argv.slice(2)

async function nodeRedis() {
  const client = createClient({ url: `redis://127.0.0.1:${port}`, RESP: Number(protocol) })
  await client.connect()
  return {
    name: 'node-redis',
    call: (...words) => client.sendCommand(words.map(String)),
    close: () => client.close(),
  }
}

async function ioredis() {
  const client = new Redis(Number(port))
  return { name: 'ioredis', call: (...words) => client.call(...words.map(String)), close: () => client.quit() }
}

// The code of a refusal, and its object of details.
function refusal(error) {
  const [, word, known] = /^([A-Z]+) (.*)$/s.exec(error.message)
  return known.startsWith('{') ? { word, ...JSON.parse(known) } : { word, message: known }
}

async function shop(connect) {
  const { name, call, close } = await connect()
  const [sku, cart, paid] = ['sku', 'cart', 'paid'].map(what => `{${name}}:${what}`)
  await call('MODEL.SET', sku, 'any', JSON.stringify({ stock: 3, log: [] }))
  await call('MODEL.SET', cart, 'any', JSON.stringify({ moka: 2 }))

  // A value is JSON text; a count or a revision is a number.
  const [left, entries] = await call(
    'MODEL.FIELDOP', sku, 'INCR', '$.stock', -1, 'APPEND', '$.log', JSON.stringify(['sold']),
  )
  assert.deepEqual([JSON.parse(left), entries], [2, 1])

  await assert.rejects(call('MODEL.FIELDOP', sku, 'IF', 'self.stock >= 5', 'INCR', '$.stock', -5), error => {
    const { word, values } = refusal(error)
    return word === 'CONDITION' && values['self.stock'] === 2
  })

  const order = [
    'MODEL.TXN', 3, sku, cart, paid, 'TOKEN', paid,
    'ON', sku, 'EVAL', '$.stock', `value - docs['${cart}'].moka`,
    'ON', cart, 'DELETE',
  ]
  const first = await call(...order)
  assert.deepEqual(first, [['0'], [1]])
  assert.deepEqual(await call(...order), first)

  // A command that waits occupies its connection: others need one of their own.
  const held = await call('MODEL.LOCK', sku, 'log', 'first', 'LEASE', 60_000)
  const other = await connect()
  const waiting = other.call('MODEL.LOCK', sku, 'log', 'second', 'WAIT', 30_000, 'GET')
  await call(
    'MODEL.FIELDOP', sku, 'HOLDING', 'log', 'first', held[0],
    'APPEND', '$.log', JSON.stringify(['first']), 'RELEASE', 'log', 'first', held[0],
  )
  const [fence, , , json] = await waiting
  assert.ok(fence > held[0] && Number.isSafeInteger(fence))
  assert.deepEqual(JSON.parse(json).log, ['sold', 'first'])
  assert.equal(await call('MODEL.LOCK', sku, 'log', 'third', 'WAIT', 20), null)
  await other.close()

  // A map in RESP3, a list of names and values in RESP2.
  const meta = await call('MODEL.META', sku)
  const member = what => (Array.isArray(meta) ? meta[meta.indexOf(what) + 1] : meta[what])
  assert.equal(member('model'), 'any')
  assert.equal(member('locks'), 1)
  await close()
}

await shop(nodeRedis)
await shop(ioredis)
console.log('ok')
