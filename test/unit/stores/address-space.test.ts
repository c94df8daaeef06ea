import t from 'tap'
import { FIRST_OFFSET, LAST_OFFSET, SUBNETS, subnetNumber, toAddress, toOffset, toSubnet } from '../../../stores/address-space.js'

const numbers = (address: string) => address.split('.').map(Number)

t.test('every service address has an offset of its own, and nothing else has one', async t => {
  for (const [offset, address] of [[FIRST_OFFSET, '172.30.0.1'], [255, '172.30.0.255'], [256, '172.30.1.0'], [258, '172.30.1.2'], [LAST_OFFSET, '172.30.255.254']] as const) {
    t.equal(toAddress(offset), address)
    t.equal(toOffset(address), offset)
  }
  for (let offset = FIRST_OFFSET; offset <= LAST_OFFSET; offset += 97) t.equal(toOffset(toAddress(offset)), offset)
  for (const address of ['172.30.0.0', '172.30.255.255', '172.31.0.1', '172.30.256.1', '172.30.1.256', '172.30.01.1', '172.30.1', 'x172.30.1.1', '172.30.1.1.1', '']) {
    t.equal(toOffset(address), undefined, address)
  }
})

t.test('subnets of 64 addresses follow each other from 172.18.0.0 to 172.29.255.192', async t => {
  for (const [number, subnet] of [[0, '172.18.0.0'], [1, '172.18.0.64'], [4, '172.18.1.0'], [1023, '172.18.255.192'], [1024, '172.19.0.0'], [SUBNETS - 1, '172.29.255.192']] as const) {
    t.equal(toSubnet(number), subnet)
    t.equal(subnetNumber(numbers(subnet)), number)
  }
  for (let number = 0; number < SUBNETS; number += 17) t.equal(subnetNumber(numbers(toSubnet(number))), number)
  t.equal(subnetNumber(numbers('172.18.2.70')), 9, 'an address in the middle of one')
  t.ok(subnetNumber(numbers('172.30.0.0')) >= SUBNETS, 'beyond the range')
  for (const half of [[], [172], [172, 18], [172, 18, 0]]) t.ok(Number.isNaN(subnetNumber(half)), `half an address: ${half}`)
})
