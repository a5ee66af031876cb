// Goes on from the signed-out page when its frames have loaded, and after five seconds in any case: an app that is slow holds nobody up.
const onward = () => location.replace(document.getElementById("continue").href);
addEventListener("load", onward);
setTimeout(onward, 5000);
