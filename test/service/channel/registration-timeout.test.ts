import t from 'tap'
import { startChannel } from './channel-server.js'
import { openPeer, register } from './peer.js'

t.test('a cluster that does not register within 10 s is closed with 4008; one that did is not', async t => {
  const { app, url } = await startChannel(t)
  const silent = await openPeer(t, url)
  const opened = Date.now()
  const { id } = await register(t, url)
  await silent.next('sc1')
  const closing = await silent.closed
  t.same(closing, { code: 4008, reason: 'registration_timeout' })
  t.match(silent.frames.at(-1), { event: 'error', data: { code: 'registration_timeout', message: /cs1 within 10 s/ } })
  t.ok(Date.now() - opened > 9500)
  t.equal(app.clusterChannel.isConnected(id), true)
})
