import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { startServer, type TestServer } from '../../support/server.js'
import { aJob, registered, saved } from '../stores/samples.js'

/** Clusters with 60 KiB of free-form fields each. */
async function withClusters (t: Test, count: number): Promise<TestServer> {
  const server = await startServer(t)
  const more = 'x'.repeat(60 * 1024)
  for (let i = 0; i < count; i++) {
    const { id } = await registered(server.store)
    await server.store.clusters.heartbeat(id, { more, warnings: [] }, Date.now())
  }
  return server
}

for (const count of [0, 1, 31, 32, 33, 64, 65, 100]) {
  t.test(`a list of ${count} is whole, and its pages are those of one answer`, async t => {
    const server = await startServer(t)
    const ids: string[] = []
    for (let i = 0; i < count; i++) ids.push((await registered(server.store)).id)
    const jobs: string[] = []
    for (let i = 0; i < Math.min(count, 40); i++) jobs.push((await saved(server.store, aJob())).id)
    const contractIds = (list: Array<{ _id: { $oid: string } }>) => list.map(({ _id: { $oid: id } }) => id)
    t.same(contractIds(await server.json('/api/clusters_all')), ids)
    t.same(contractIds(await server.json('/api/jobs')), jobs.toSorted())
    for (const limit of [1, 32, 33, 100]) {
      const seen: string[] = []
      let after = ''
      for (;;) {
        const page = await server.json(`/api/v1/clusters?limit=${limit}${after}`)
        t.same(Object.keys(page), ['items', 'next'])
        seen.push(...page.items.map(({ id }: { id: string }) => id))
        if (page.next === null) break
        t.equal(page.items.length, limit)
        t.equal(page.next, page.items.at(-1).id)
        after = `&after=${page.next}`
        if (seen.length > count) break
      }
      t.same(seen, ids, `pages of ${limit}`)
    }
  })
}

for (const requests of [1, 300]) {
  t.test(`a client that does not read what ${requests} requests bring does not make the server keep it`, async t => {
    const server = await withClusters(t, 1500)
    const { port } = new URL(server.url)
    const socket = connect(Number(port), '127.0.0.1')
    t.teardown(() => socket.destroy())
    // Also one that asks again and again before it has read the first answer.
    socket.write('GET /api/clusters_all HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(requests))
    socket.pause()
    let most = 0
    const before = process.memoryUsage().rss
    for (let i = 0; i < 30; i++) {
      most = Math.max(most, process.memoryUsage().rss - before)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    t.equal((await fetch(`${server.url}/status`)).status, 200)
    t.ok(most < 50 * 2 ** 20, `${most} bytes of memory were taken meanwhile`)
    if (requests > 1) return
    let size = 0
    await new Promise<void>((resolve, reject) => {
      socket.on('data', chunk => {
        size += chunk.length
        if (chunk.includes('0\r\n\r\n')) resolve()
      })
      socket.on('error', reject)
      socket.resume()
    })
    t.ok(size > 1500 * 60 * 1024, `${size} bytes came`)
  })
}

t.test('when the store fails after the first part, the answer breaks off; before it, it is an error', async t => {
  const server = await withClusters(t, 200)
  const answer = await server.fetch('/api/clusters_all')
  await server.store.close()
  await t.rejects(answer.text())
  t.equal((await server.fetch('/api/clusters_all')).status, 503)
})
