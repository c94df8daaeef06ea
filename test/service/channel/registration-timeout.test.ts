import t from 'tap'
import { aWhile, startChannel } from './channel-server.js'
import { openPeer, register } from './peer.js'

t.test('a cluster that does not register in time is closed with 4008; one that did stays', async t => {
  const server = await startChannel(t, { REGISTRATION_TIMEOUT_S: 0.6 })
  const { id, closed } = await register(t, server.channel)
  const silent = await openPeer(t, server.channel)
  const opened = performance.now()
  await silent.next('sc1')
  t.same(await silent.closed, { code: 4008, reason: 'registration_timeout' })
  t.match(silent.frames.at(-1), { event: 'error', data: { code: 'registration_timeout', message: 'expected cs1 within 0.6 s' } })
  t.ok(performance.now() - opened > 500)
  t.equal(await Promise.race([closed, aWhile(700)]), undefined)
  t.equal((await server.cluster(id)).connected, true)
})
