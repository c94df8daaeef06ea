import t from 'tap'
import { readNetworks } from '../../../services/cluster-channel/http-push/networks.js'

t.test('networks are a list in CIDR notation, with spaces and commas to spare', async t => {
  const networks = readNetworks(' 10.0.0.0/8, fd00::/8,,')
  for (const inside of ['10.1.2.3', '::ffff:10.1.2.3', 'fd00::1']) t.ok(networks.include(inside), inside)
  for (const outside of ['11.0.0.1', '::ffff:11.0.0.1', 'fe80::1', 'hpi', '']) t.notOk(networks.include(outside), outside)
  t.notOk(readNetworks('').include('10.1.2.3'))
})

t.test('a network with ! is excluded, wherever it stands', async t => {
  for (const list of ['10.0.0.0/8,!10.1.0.0/16', '!10.1.0.0/16, 10.0.0.0/8', '! 10.1.0.0/16,10.0.0.0/8']) {
    const networks = readNetworks(list)
    t.ok(networks.include('10.2.0.1'))
    t.notOk(networks.include('10.1.0.1'))
    t.notOk(networks.include('::ffff:10.1.0.1'))
  }
  t.notOk(readNetworks('!10.0.0.0/8').include('11.0.0.1'))
})

t.test('what is no network is named', async t => {
  t.throws(() => readNetworks('10.0.0.0/8, hpi'), { message: /^CLUSTER_NETWORKS=10\.0\.0\.0\/8, hpi cannot be used: "hpi" is not a network/ })
})
