// Sends the form of the page on. By the prototype, since a field called "submit" would hide the form's own method.
HTMLFormElement.prototype.submit.call(document.getElementById("form-post"));
