// Saves what an address has as a file. The browser streams it to the disk itself.
export function save(address, name) {
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}
